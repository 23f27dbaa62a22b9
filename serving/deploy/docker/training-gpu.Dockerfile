# Training, attacks and everything else on NVIDIA GPUs; CUDA comes with TensorFlow's packages, so
# that the machine needs the driver and NVIDIA's container toolkit alone. From a checkout:
#   docker build --file serving/deploy/docker/training-gpu.Dockerfile --tag lsp-keras-gpu .
# or, anywhere, from the package that pip finds under a name:
#   docker build --file docker/training-gpu.Dockerfile --build-arg PACKAGE=lsp-keras --tag lsp-keras-gpu .
# Then, with runs and data in the folder you stand in:
#   docker run --rm --gpus all --user $(id -u):$(id -g) --volume $PWD:/work lsp-keras-gpu \
#     fit --dataset cifar10 --adv
FROM python:3.12-slim

# A path under /src, where the build's folder is seen, or whatever pip installs.
ARG PACKAGE=/src
RUN --mount=type=bind,target=/src,rw pip install --no-cache-dir "$PACKAGE" "tensorflow[and-cuda]"

# Caches go beside the runs, since the user has no home in the image.
ENV HOME=/work XDG_CACHE_HOME=/work/.cache TF_FORCE_GPU_ALLOW_GROWTH=true
WORKDIR /work
ENTRYPOINT ["lsp-keras"]
