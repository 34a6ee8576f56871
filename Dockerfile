# syntax=docker/dockerfile:1

# 1. The wheels, by hash; compilers and pip stay in this stage.
FROM python:3.13-slim-bookworm AS build
WORKDIR /srv/dspatch
RUN python -m venv .venv
COPY requirements/runtime.txt requirements/runtime.txt
RUN .venv/bin/pip install --no-cache-dir --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md ./
COPY app app
RUN .venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation --editable .

# 2. What runs: the interpreter, the environment, the program and its migrations.
FROM python:3.13-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin dspatch
WORKDIR /srv/dspatch
COPY --from=build /srv/dspatch/.venv .venv
COPY app app
COPY migrations migrations
COPY alembic.ini ./
ENV PATH=/srv/dspatch/.venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001
EXPOSE 8000
ENTRYPOINT ["dspatch"]
CMD ["serve", "--host", "0.0.0.0"]
