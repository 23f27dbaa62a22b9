# The embedded server. From a checkout of lsp-keras:
#   docker build --file serving/deploy/docker/server.Dockerfile --tag lsp-keras-server .
# or, anywhere, from the package that pip finds under a name:
#   docker build --file docker/server.Dockerfile --build-arg PACKAGE=lsp-keras --tag lsp-keras-server .
# Then, with models in ./models/NAME/VERSION:
#   docker run --publish 127.0.0.1:8501:8501 --volume $PWD/models:/models:ro lsp-keras-server \
#     /models/NAME
FROM python:3.12-slim

# A path under /src, where the build's folder is seen, or whatever pip installs.
ARG PACKAGE=/src
RUN --mount=type=bind,target=/src,rw pip install --no-cache-dir "$PACKAGE"

RUN useradd --uid 1000 --create-home server
USER 1000
EXPOSE 8500 8501
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=120s --interval=10s CMD \
  ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/readyz', timeout=5)"]
ENTRYPOINT ["lsp-keras", "serve", "--embedded", "--host=0.0.0.0"]
