"""What follows from the contracts and is needed when PDIC runs. Written by `pdic contracts compile`, never by hand.

raw/<sector>__<dataset>.sql   makes or completes the raw table and the quarantine table of a dataset
shared_views.json             the views that publishing creates in the schema `shared`
catalogue.py                  sectors, datasets, schedules and assets as constants, for DAG files
"""
