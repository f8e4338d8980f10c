package main

import (
	"context"
	"encoding/json"
	"os"
	"strings"
)

// kubeletDefaults is the first drop-in, so that those of an operator can change any line of it.
//
// Thresholds are k3s's own, and image garbage collection is on. They are percentages of the machine's whole
// disk, which a rig's host shares with everything else on it: what is installed must override them.
func (n *node) kubeletDefaults() map[string]any {
	driver := "cgroupfs"
	if cgroupV2() {
		driver = "systemd"
	}
	return map[string]any{
		"kind":       "KubeletConfiguration",
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": true},
			"x509":      map[string]any{"clientCAFile": n.tls("client-ca.crt")},
		},
		"authorization":            map[string]any{"mode": "Webhook"},
		"cgroupDriver":             driver,
		"clusterDNS":               []string{n.clusterDNS},
		"clusterDomain":            n.clusterDomain,
		"containerRuntimeEndpoint": "unix://" + containerdSocket,
		"evictionHard":             map[string]string{"nodefs.available": "5%", "imagefs.available": "5%"},
		"evictionMinimumReclaim":   map[string]string{"nodefs.available": "10%", "imagefs.available": "10%"},
		"failCgroupV1":             false, // from 1.35 on the kubelet refuses such machines unless told
		"failSwapOn":               false,
		"resolvConf":               n.resolvConf,
		"serializeImagePulls":      false,
		"staticPodPath":            n.path("agent/pod-manifests"),
		"tlsCertFile":              n.tls("serving-kubelet.crt"),
		"tlsPrivateKeyFile":        n.tls("serving-kubelet.key"),
	}
}

func (n *node) startKubelet(context.Context) error {
	resolvConf, err := n.findResolvConf()
	if err != nil {
		return err
	}
	n.resolvConf = resolvConf
	text, err := json.MarshalIndent(n.kubeletDefaults(), "", "  ")
	if err != nil {
		return err
	}
	configDir := n.path("agent/etc/kubelet.conf.d")
	if err := writeFile(configDir+"/00-k3s-defaults.conf", text, 0o600); err != nil {
		return err
	}
	if err := os.MkdirAll(n.path("agent/pod-manifests"), 0o700); err != nil {
		return err
	}
	flags := map[string]string{
		"config-dir":        configDir,
		"hostname-override": n.nodeName,
		"kubeconfig":        n.kubeconfig("kubelet"),
		"node-ip":           n.nodeIP,
	}
	if len(n.nodeLabels) > 0 {
		flags["node-labels"] = strings.Join(n.nodeLabels, ",")
	}
	if n.protectKernelDefaults {
		flags["protect-kernel-defaults"] = "true"
	}
	return n.children.component("kubelet", withArgs(flags, n.kubeletArgs)...)
}
