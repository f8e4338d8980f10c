# Sourced on the host by every step of the build measure. Times are seconds since the epoch, printed as `name seconds`.
export KUBECONFIG=/etc/rancher/k3s/k3s.yaml HOME=/root

mark() { echo "$1 $(date +%s.%N)"; }

# $1 pod, $2 image. Returns when the pod is Ready; the kubelet pulls what containerd does not have.
start_pod() {
    fault=$(curl -sS --max-time 150 "http://127.0.0.1:47010/$1?image=$2")
    [ -z "$fault" ] || {
        echo "$1: $fault" >&2
        exit 1
    }
}

# $1 pod. Prints what the kubelet said about its image.
pull_event() {
    k3s kubectl get events --field-selector "involvedObject.name=$1" -o jsonpath='{range .items[*]}{.reason}: {.message}{"\n"}{end}' |
        grep '^Pulled:'
}

remove_pod() { k3s kubectl delete pod "$1" --now --wait >/dev/null; }
