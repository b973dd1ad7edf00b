"""Who may enter Airflow's pages: logins of its own database, and nobody without one."""

from flask_appbuilder.const import AUTH_DB

AUTH_TYPE = AUTH_DB
AUTH_ROLE_PUBLIC = None
AUTH_USER_REGISTRATION = False
WTF_CSRF_ENABLED = True
