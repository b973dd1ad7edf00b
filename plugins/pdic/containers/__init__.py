"""What the containers of docker-compose.yml do once, before and beside Airflow: docs/deploy.md."""
