# OneLogin Connector as a container: docker build -t onelogin-connector .
#
# The version is pinned; for a build that is the same for ever, hand in a digest too:
#   docker build --build-arg PYTHON_IMAGE=python:3.13.9-slim-bookworm@sha256:… .
ARG PYTHON_IMAGE=python:3.13.9-slim-bookworm

# The package is built, and the locked requirements installed, where compilers and caches may stay behind.
FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY requirements/build.txt requirements/azure.txt requirements/
RUN python -m venv /build/venv
RUN /build/venv/bin/python -m pip install --require-hashes --requirement requirements/build.txt
# what runs has no pip in it: nothing is installed there later
RUN python -m venv --without-pip /opt/onelogin-connector
RUN /build/venv/bin/python -m pip --python /opt/onelogin-connector/bin/python install --require-hashes --requirement requirements/azure.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /build/venv/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir /build/wheels .
RUN /build/venv/bin/python -m pip --python /opt/onelogin-connector/bin/python install --no-deps --no-index --find-links /build/wheels onelogin-connector

FROM ${PYTHON_IMAGE}
# a number, so that Kubernetes can see that it is not root
RUN groupadd --gid 10001 onelogin-connector
RUN useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin onelogin-connector
# a volume takes owner and mode from here; the program refuses a data folder that others can read
RUN install --directory --mode=0700 --owner=10001 --group=10001 /data
COPY --from=build /opt/onelogin-connector /opt/onelogin-connector
ENV PATH=/opt/onelogin-connector/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ONELOGIN_CONNECTOR_HOST=0.0.0.0 \
    ONELOGIN_CONNECTOR_DATA_DIR=/data
WORKDIR /data
USER 10001:10001
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["onelogin-connector", "ready"]
CMD ["onelogin-connector", "run"]
