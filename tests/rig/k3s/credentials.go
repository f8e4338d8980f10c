package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/keyutil"
	netutils "k8s.io/utils/net"
)

const (
	adminKubeconfig = "/etc/rancher/k3s/k3s.yaml"
	apiServerURL    = "https://127.0.0.1:6443"
)

// tls, kubeconfig and encryptionConfig name files where k3s has them, under k3s's names.
func (n *node) tls(name string) string        { return n.path("server/tls", name) }
func (n *node) kubeconfig(name string) string { return n.path("server/cred", name+".kubeconfig") }
func (n *node) encryptionConfig() string      { return n.path("server/cred/encryption-config.json") }

// makeCredentials makes what is not there yet: authorities, certificates, the key of service accounts, the
// key of secrets, and a kubeconfig for each client. A restart finds and keeps what the first start made.
func (n *node) makeCredentials(context.Context) error {
	if err := os.MkdirAll(n.path("server/cred"), 0o700); err != nil {
		return err
	}
	_, services, err := net.ParseCIDR(n.serviceCIDR)
	if err != nil {
		return err
	}
	firstService, err := netutils.GetIndexedIP(services, 1) // where pods find the API server
	if err != nil {
		return err
	}
	nodeIP := net.ParseIP(n.nodeIP)
	if nodeIP == nil {
		return fmt.Errorf("node-ip: %q is no address", n.nodeIP)
	}
	api := want{
		user: "kube-apiserver",
		names: []string{
			"kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc." + n.clusterDomain, "localhost", n.nodeName,
		},
		addresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback, firstService, nodeIP},
	}
	for _, name := range n.tlsSAN {
		if ip := net.ParseIP(name); ip != nil {
			api.addresses = append(api.addresses, ip)
		} else {
			api.names = append(api.names, name)
		}
	}
	kubelet := want{user: n.nodeName, names: []string{n.nodeName, "localhost"}, addresses: []net.IP{net.IPv4(127, 0, 0, 1), nodeIP}}

	for _, signing := range []struct {
		authority string
		certs     map[string]want
	}{
		{"server-ca", map[string]want{"serving-kube-apiserver": api, "serving-kubelet": kubelet}},
		{"request-header-ca", map[string]want{"client-auth-proxy": {user: "system:auth-proxy"}}},
		{"client-ca", map[string]want{
			"client-admin":          {user: "system:admin", group: "system:masters"},
			"client-kube-apiserver": {user: "kube-apiserver", group: "system:masters"},
			"client-controller":     {user: "system:kube-controller-manager"},
			"client-scheduler":      {user: "system:kube-scheduler"},
			"client-kube-proxy":     {user: "system:kube-proxy"},
			"client-kubelet":        {user: "system:node:" + n.nodeName, group: "system:nodes"},
		}},
	} {
		ca, err := loadAuthority(n.tls(signing.authority))
		if err != nil {
			return err
		}
		for name, w := range signing.certs {
			if err := ca.issue(n.tls(name), w); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if _, _, err := keyutil.LoadOrGenerateKeyFile(n.tls("service.key")); err != nil {
		return err
	}
	for _, client := range []string{"controller", "scheduler", "kube-proxy", "kubelet"} {
		if err := n.writeKubeconfig(n.kubeconfig(client), "client-"+client, 0o600); err != nil {
			return err
		}
	}
	if n.secretsEncryption {
		if err := n.makeEncryptionKey(); err != nil {
			return err
		}
	}
	return n.writeKubeconfig(adminKubeconfig, "client-admin", n.kubeconfigMode)
}

// writeKubeconfig writes one self-contained file, so that it can be copied off the node as k3s's can.
func (n *node) writeKubeconfig(file, client string, mode os.FileMode) error {
	parts := map[string][]byte{}
	for _, name := range []string{"server-ca.crt", client + ".crt", client + ".key"} {
		text, err := os.ReadFile(n.tls(name))
		if err != nil {
			return err
		}
		parts[name] = text
	}
	c := clientcmdapi.NewConfig()
	c.Clusters["default"] = &clientcmdapi.Cluster{Server: apiServerURL, CertificateAuthorityData: parts["server-ca.crt"]}
	c.AuthInfos["default"] = &clientcmdapi.AuthInfo{ClientCertificateData: parts[client+".crt"], ClientKeyData: parts[client+".key"]}
	c.Contexts["default"] = &clientcmdapi.Context{Cluster: "default", AuthInfo: "default"}
	c.CurrentContext = "default"
	text, err := clientcmd.Write(*c)
	if err != nil {
		return err
	}
	return writeFile(file, text, mode)
}

// makeEncryptionKey makes the key that secrets are stored under, once: with another, none could be read.
func (n *node) makeEncryptionKey() error {
	if _, err := os.Stat(n.encryptionConfig()); err == nil {
		return nil
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	text := fmt.Sprintf(`{"kind":"EncryptionConfiguration","apiVersion":"apiserver.config.k8s.io/v1","resources":[`+
		`{"resources":["secrets"],"providers":[{"aescbc":{"keys":[{"name":"aescbckey","secret":%q}]}},{"identity":{}}]}]}`,
		base64.StdEncoding.EncodeToString(key))
	return writeFile(n.encryptionConfig(), []byte(text), 0o600)
}

// writeFile replaces a file in one step, with its mode from the first moment, and leaves an equal one alone.
func writeFile(file string, text []byte, mode os.FileMode) error {
	if info, err := os.Stat(file); err == nil && info.Mode().Perm() == mode {
		if old, err := os.ReadFile(file); err == nil && string(old) == string(text) {
			return nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	partial, err := os.CreateTemp(filepath.Dir(file), ".k3s-*")
	if err != nil {
		return err
	}
	defer os.Remove(partial.Name())
	_, err = partial.Write(text)
	for _, then := range []func() error{func() error { return partial.Chmod(mode) }, partial.Close} {
		if err == nil {
			err = then()
		}
	}
	if err != nil {
		return err
	}
	return os.Rename(partial.Name(), file)
}
