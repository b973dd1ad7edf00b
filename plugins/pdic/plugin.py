"""PDIC's entry in Airflow's list of plugins. Everything else comes in through DAG files."""

from airflow.plugins_manager import AirflowPlugin


class PdicPlugin(AirflowPlugin):
    """Tells an operator of Airflow that PDIC is installed here."""

    name = "pdic"
