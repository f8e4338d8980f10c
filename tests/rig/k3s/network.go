package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A bridge stands in for flannel: on one node both give pods of one subnet an address, a way to each other
// and, behind the node's address, to the world.
const networkConfig = `{
  "cniVersion": "1.0.0",
  "name": "cbr0",
  "plugins": [
    {
      "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
      "ipam": {"type": "host-local", "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`

// setUpPodNetwork waits until the kubelet has registered the node and the controllers have given it a
// subnet; the node becomes Ready when the file is there.
func (n *node) setUpPodNetwork(ctx context.Context) error {
	client, err := adminClient()
	if err != nil {
		return err
	}
	var registered *v1.Node
	if err := until(ctx, 5*time.Minute, func(ctx context.Context) error {
		registered, err = client.CoreV1().Nodes().Get(ctx, n.nodeName, metav1.GetOptions{})
		if err == nil && registered.Spec.PodCIDR == "" {
			err = errors.New("the node has no pod CIDR yet")
		}
		return err
	}); err != nil {
		return err
	}
	role := []byte(`{"metadata":{"labels":{"node-role.kubernetes.io/control-plane":"true"}}}`)
	if _, err := client.CoreV1().Nodes().Patch(ctx, n.nodeName, types.MergePatchType, role, metav1.PatchOptions{}); err != nil {
		return err
	}
	text := fmt.Sprintf(networkConfig, registered.Spec.PodCIDR)
	return writeFile(n.path("agent/etc/cni/net.d/10-bridge.conflist"), []byte(text), 0o600)
}

// startKubeProxy leaves the connection table's size alone: in a container it belongs to the machine around.
func (n *node) startKubeProxy(context.Context) error {
	return n.children.component("kube-proxy", withArgs(map[string]string{
		"cluster-cidr":                      n.clusterCIDR,
		"conntrack-max-per-core":            "0",
		"conntrack-tcp-timeout-close-wait":  "0s",
		"conntrack-tcp-timeout-established": "0s",
		"healthz-bind-address":              "127.0.0.1",
		"hostname-override":                 n.nodeName,
		"kubeconfig":                        n.kubeconfig("kube-proxy"),
		"proxy-mode":                        "iptables",
	}, n.kubeProxyArgs)...)
}
