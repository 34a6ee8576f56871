# syntax=docker/dockerfile:1

# What all stands on. Tag and digest move together, to the newest patch of Python:
# `docker buildx imagetools inspect python:3.13-slim-bookworm` tells the digest.
FROM python:3.13.14-slim-bookworm@sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8 AS python

# 1. The program in its place: wheels by their hashes, compiled to bytecode; pip stays outside.
FROM python AS build
WORKDIR /srv/dspatch
RUN python -m venv --without-pip .venv
COPY requirements/runtime.txt requirements/runtime.txt
RUN pip --python .venv install --no-cache-dir --only-binary :all: --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md alembic.ini ./
COPY app app
COPY migrations migrations
RUN pip --python .venv install --no-cache-dir --no-deps --no-build-isolation --editable . \
    && python -m compileall -q --invalidation-mode unchecked-hash app migrations

# 2. The root: the interpreter and its libraries, without shell, package managers and other tools.
FROM python AS root
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin dspatch \
    && pip uninstall --yes --quiet --root-user-action ignore pip \
    && find /usr/bin /usr/sbin -mindepth 1 -delete

# 3. What runs: both, in layers that hold nothing else.
FROM scratch
# Without what was deleted: a layer over the base's would only hide it.
# hadolint ignore=DL3067
COPY --from=root / /
COPY --from=build /srv/dspatch /srv/dspatch
WORKDIR /srv/dspatch
ENV HOME=/tmp \
    LANG=C.UTF-8 \
    PATH=/srv/dspatch/.venv/bin:/usr/local/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8000
HEALTHCHECK NONE
ENTRYPOINT ["dspatch"]
CMD ["serve", "--host", "0.0.0.0"]
