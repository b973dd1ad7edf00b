# One image for every Airflow role, for one-shot jobs and for the command line. What runs in it: docker-compose.yml.
# Everything in it is pinned by hash in requirements.lock. An index of your own comes by build arguments; none is written here.

FROM python:3.11-slim AS build
ARG PIP_INDEX_URL
ARG UV_DEFAULT_INDEX
WORKDIR /opt/pdic/app
COPY requirements-uv.lock requirements.lock ./
RUN python3 -m venv /opt/pdic/uv \
 && /opt/pdic/uv/bin/pip install --quiet --no-cache-dir --require-hashes -r requirements-uv.lock \
 && python3 -m venv /opt/pdic/venv \
 && /opt/pdic/uv/bin/uv pip sync --quiet --no-cache --compile-bytecode --require-hashes --python /opt/pdic/venv/bin/python requirements.lock
COPY . .
# The project, importable and with its entry points; then nothing that only a developer's machine needs.
RUN uv=/opt/pdic/uv/bin/uv python=/opt/pdic/venv/bin/python \
 && $uv pip install --quiet --no-cache --offline --no-deps --no-build-isolation --editable . --python $python \
 && $python deploy/prune.py pyproject.toml $uv \
 && $python -m compileall -q plugins dags demo \
 && /opt/pdic/venv/bin/pdic containers airflow-config > /opt/pdic/airflow.cfg

FROM python:3.11-slim
RUN groupadd --gid 50000 pdic && useradd --uid 50000 --gid pdic --home-dir /tmp --no-create-home pdic \
 && mkdir -p /var/lib/pdic/secrets /var/log/pdic && chmod 1777 /var/lib/pdic /var/lib/pdic/secrets /var/log/pdic
COPY --from=build /opt/pdic/venv /opt/pdic/venv
COPY --from=build /opt/pdic/airflow.cfg /opt/pdic/airflow.cfg
COPY --from=build /opt/pdic/app /opt/pdic/app
ENV PATH=/opt/pdic/venv/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp USER=pdic LOGNAME=pdic LANG=C.UTF-8 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    AIRFLOW_HOME=/tmp/airflow AIRFLOW_CONFIG=/opt/pdic/airflow.cfg \
    PDIC_ROOT=/opt/pdic/app PDIC_HOME=/var/lib/pdic PDIC_SECRETS=/run/secrets
WORKDIR /opt/pdic/app
USER pdic
CMD ["pdic", "--help"]
