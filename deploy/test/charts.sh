#!/usr/bin/env bash
# The Helm chart and the kustomization, as far as they can be tried without a cluster: charts.sh
#
# Helm lints and renders the chart with its defaults and with everything turned on; kubectl builds the kustomization; both must
# make the same pod and the same configuration; all objects pass the schemas of the oldest and the newest Kubernetes there are
# schemas for; wrong values are refused. Helm is built by Go where it is missing; the schemas come with kubernetes-validate.
set -euo pipefail

cd "$(dirname "$0")/../.."
tools=$(realpath --canonicalize-missing "${RINGSIDE_TOOLS:-${CARGO_TARGET_DIR:-target}/tools}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
    echo "charts: FAILED: $*" >&2
    exit 1
}
skip() {
    echo "skipped: charts: $*" >&2
    exit 0
}

helm=$(command -v helm || echo "$tools/helm/bin/helm")
if [ ! -x "$helm" ]; then
    command -v go >/dev/null || skip "neither helm nor go to build it with"
    echo "charts: helm is built, once, into $tools" >&2
    GOBIN=$tools/helm/bin go install helm.sh/helm/v3/cmd/helm@v3.19.2
fi
command -v kubectl >/dev/null || skip "no kubectl: apt-get install kubernetes-client"
python=$tools/schemas/bin/python3
if [ ! -x "$python" ]; then
    python3 -m venv "$tools/schemas"
    "$tools/schemas/bin/pip" install --quiet kubernetes-validate==1.37.0 pyyaml
fi

# Files of the chart are links to those they must be the same as, which helm mentions each time.
helm() { "$helm" "$@" 2> >(grep -v 'found symbolic link' >&2 || true); }
# Built by `go install`, helm takes a cluster to be older than the chart allows.
render() { helm template ringside "$chart" --namespace ringside --kube-version 1.25.0 "$@"; }

chart=deploy/helm/ringside
helm lint --strict "$chart" || fail "helm lint"
render >"$work/default.yaml"
cat >"$work/everything.yaml" <<'END'
nameOverride: sip
config: |
  [receivers.ebpf_sip]
  [processors.dialog]
  [exporters.prometheus]
  [service.pipelines.metrics]
  receivers = ["ebpf_sip"]
  processors = ["dialog"]
  exporters = ["prometheus"]
image: { repository: registry.example.net/r, digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000" }
imagePullSecrets: [{ name: pull }]
collector: { enabled: false }
tolerations: [{ key: voice, operator: Exists }]
affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: voice, operator: Exists }] }] } } }
priorityClassName: system-node-critical
envFromSecrets: [otlp]
env: [{ name: REGION, value: north }]
podLabels: { team: voice }
podMonitor: { enabled: true, labels: { release: prometheus } }
rules: { enabled: true, labels: { release: prometheus } }
extraVolumes: [{ name: queue, hostPath: { path: /var/lib/ringside } }]
extraVolumeMounts: [{ name: queue, mountPath: /var/lib/ringside }]
END
render --values "$work/everything.yaml" >"$work/everything.out.yaml"
kubectl kustomize deploy/kubernetes >"$work/kustomize.yaml"
for wrong in metricsPort=70000 image.digest=sha256:12 collectr.enabled=true tolerations=all; do
    ! render --set "$wrong" >/dev/null 2>&1 || fail "$wrong is taken"
done

"$python" - "$work" deploy/rules.yml deploy/steer/kubernetes.yaml <<'END'
import sys, yaml, kubernetes_validate

work, rules, steer = sys.argv[1:]
objects = {name: [o for o in yaml.safe_load_all(open(path)) if o] for name, path in {
    "default": f"{work}/default.yaml",
    "everything": f"{work}/everything.out.yaml",
    "kustomize": f"{work}/kustomize.yaml",
    "steer": steer,
}.items()}

def only(name, kind):
    found = [o for o in objects[name] if o["kind"] == kind]
    assert len(found) == 1, f"{name}: {len(found)} of {kind}"
    return found[0]

# The oldest that the chart promises, and the newest there are schemas for.
versions = ["1.25", kubernetes_validate.latest_version()]
for version in versions:
    for name, found in objects.items():
        for one in found:
            if one["apiVersion"].startswith("monitoring.coreos.com/"):
                continue  # The operator's own; its schema is not among them.
            kubernetes_validate.validate(one, version, strict=True)

helm, kustomize = only("default", "DaemonSet")["spec"], only("kustomize", "DaemonSet")["spec"]
assert helm["template"]["metadata"]["annotations"] == kustomize["template"]["metadata"]["annotations"]
assert helm["updateStrategy"] == kustomize["updateStrategy"]
ours, theirs = helm["template"]["spec"], kustomize["template"]["spec"]
for container in ours["containers"] + theirs["containers"]:
    container.pop("imagePullPolicy", None)
assert ours == theirs, f"chart and kustomization make different pods:\n{ours}\n{theirs}"
assert only("default", "ConfigMap")["data"] == only("kustomize", "ConfigMap")["data"]

pod = only("everything", "DaemonSet")["spec"]["template"]
assert [c["name"] for c in pod["spec"]["containers"]] == ["ringside"], "the Collector is off"
container = pod["spec"]["containers"][0]
assert container["image"] == "registry.example.net/r@sha256:" + "0" * 64
assert container["envFrom"] == [{"secretRef": {"name": "otlp"}}]
assert [e["name"] for e in container["env"]] == ["HOST_IP", "METRICS_PORT", "REGION"]
assert pod["spec"]["priorityClassName"] == "system-node-critical" and pod["metadata"]["labels"]["team"] == "voice"
assert "annotations" not in pod["metadata"], "no annotations for scrapes beside a PodMonitor"
monitor = only("everything", "PodMonitor")
assert monitor["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
assert monitor["spec"]["podMetricsEndpoints"][0]["port"] in [p["name"] for p in container["ports"]]
assert only("everything", "PrometheusRule")["spec"] == yaml.safe_load(open(rules)), "the rules are those of deploy/rules.yml"
print(f"charts: all well, against Kubernetes {versions[0]} and {versions[1]}", file=sys.stderr)
END
