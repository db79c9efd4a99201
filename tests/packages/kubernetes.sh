#!/usr/bin/env bash
# Compares the manifests with the schema of Kubernetes, which must know every field in them.
#
# usage: kubernetes.sh FOLDER      FOLDER keeps the installed checker for the next run
set -euo pipefail

here=$(realpath "$(dirname "$0")")
mkdir -p "$1"
venv=$(realpath "$1")/kubernetes-validate

if ! cmp -s "$here/kubernetes.txt" "$venv/complete"; then
    rm -rf "$venv"
    { python3 -m venv "$venv" &&
        "$venv/bin/pip" --quiet --disable-pip-version-check install -r "$here/kubernetes.txt"; } ||
        { echo "SKIPPED: the manifests, for want of kubernetes-validate"; exit 0; }
    cp "$here/kubernetes.txt" "$venv/complete"
fi
"$venv/bin/kubernetes-validate" --strict "$here"/../../packaging/kubernetes/*.yaml
# Servers that send the same names overwrite each other's points.
for manifest in "$here"/../../packaging/kubernetes/*.yaml; do
    grep -q 'namespace.global_suffix=\$(' "$manifest" ||
        { echo "$manifest: the names of two servers are the same" >&2; exit 1; }
done
# The checker itself must see a mistake.
sed 's/readinessProbe/readynessProbe/' "$here/../../packaging/kubernetes/daemonset.yaml" >"$venv/wrong.yaml"
if "$venv/bin/kubernetes-validate" --strict "$venv/wrong.yaml" 2>/dev/null; then
    echo "kubernetes-validate accepts a field that does not exist" >&2
    exit 1
fi
echo "kubernetes: ok"
