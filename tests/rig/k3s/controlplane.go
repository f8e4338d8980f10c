package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const etcdURL = "http://127.0.0.1:2379"

// startStore runs kine on SQLite as k3s does, with its settings of the database, where this program carries it:
// building it takes a C compiler. Else etcd stands in for it.
func (n *node) startStore(context.Context) error {
	if _, err := os.Stat(n.bin("kine")); errors.Is(err, fs.ErrNotExist) {
		n.storeURL = etcdURL
		return n.children.component("etcd", n.path("server/db/etcd"))
	}
	db := n.path("server/db")
	if err := os.MkdirAll(db, 0o700); err != nil {
		return err
	}
	n.storeURL = "unix://" + n.path("server/kine.sock")
	return n.children.start("kine", os.Stderr, n.bin("kine"),
		"--listen-address", n.storeURL,
		"--endpoint", "sqlite://"+db+"/state.db?_journal=WAL&cache=shared&_busy_timeout=30000&_txlock=immediate",
		"--metrics-bind-address", "0")
}

// runEtcd is that child. It does not wait for the disk: a rig's host is thrown away rather than recovered
// from a power cut, and what was written survives the end of the process without it.
func runEtcd(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: k3s etcd DIRECTORY")
	}
	asked, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	c := embed.NewConfig()
	c.Dir = args[0]
	c.LogLevel = "error"
	c.UnsafeNoFsync = true
	c.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration // or every request is a slow one
	client, peer := url.URL{Scheme: "http", Host: "127.0.0.1:2379"}, url.URL{Scheme: "http", Host: "127.0.0.1:2380"}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	etcd, err := embed.StartEtcd(c)
	if err != nil {
		return err
	}
	defer etcd.Close()
	select {
	case <-asked.Done():
		return nil
	case err := <-etcd.Err():
		return err
	}
}

func (n *node) startAPIServer(ctx context.Context) error {
	flags := map[string]string{
		"advertise-address":                  n.nodeIP,
		"allow-privileged":                   "true",
		"anonymous-auth":                     "false",
		"api-audiences":                      "https://kubernetes.default.svc." + n.clusterDomain + ",k3s",
		"authorization-mode":                 "Node,RBAC",
		"bind-address":                       "0.0.0.0",
		"client-ca-file":                     n.tls("client-ca.crt"),
		"enable-admission-plugins":           "NodeRestriction",
		"etcd-servers":                       n.storeURL,
		"kubelet-certificate-authority":      n.tls("server-ca.crt"),
		"kubelet-client-certificate":         n.tls("client-kube-apiserver.crt"),
		"kubelet-client-key":                 n.tls("client-kube-apiserver.key"),
		"kubelet-preferred-address-types":    "InternalIP,ExternalIP,Hostname",
		"profiling":                          "false",
		"proxy-client-cert-file":             n.tls("client-auth-proxy.crt"),
		"proxy-client-key-file":              n.tls("client-auth-proxy.key"),
		"requestheader-allowed-names":        "system:auth-proxy",
		"requestheader-client-ca-file":       n.tls("request-header-ca.crt"),
		"requestheader-extra-headers-prefix": "X-Remote-Extra-",
		"requestheader-group-headers":        "X-Remote-Group",
		"requestheader-username-headers":     "X-Remote-User",
		"secure-port":                        "6443",
		"service-account-issuer":             "https://kubernetes.default.svc." + n.clusterDomain,
		"service-account-key-file":           n.tls("service.key"),
		"service-account-signing-key-file":   n.tls("service.key"),
		"service-cluster-ip-range":           n.serviceCIDR,
		"tls-cert-file":                      n.tls("serving-kube-apiserver.crt"),
		"tls-private-key-file":               n.tls("serving-kube-apiserver.key"),
	}
	if n.secretsEncryption {
		flags["encryption-provider-config"] = n.encryptionConfig()
	}
	if err := n.children.component("kube-apiserver", withArgs(flags, n.apiserverArgs)...); err != nil {
		return err
	}
	client, err := adminClient()
	if err != nil {
		return err
	}
	return until(ctx, 5*time.Minute, func(ctx context.Context) error {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

func (n *node) startControllers(context.Context) error {
	if err := n.children.component("kube-controller-manager", withArgs(map[string]string{
		"allocate-node-cidrs":              "true",
		"authentication-kubeconfig":        n.kubeconfig("controller"),
		"authorization-kubeconfig":         n.kubeconfig("controller"),
		"bind-address":                     "127.0.0.1",
		"cluster-cidr":                     n.clusterCIDR,
		"cluster-signing-cert-file":        n.tls("client-ca.crt"),
		"cluster-signing-key-file":         n.tls("client-ca.key"),
		"kubeconfig":                       n.kubeconfig("controller"),
		"leader-elect":                     "false", // one node has nobody to wait for
		"profiling":                        "false",
		"root-ca-file":                     n.tls("server-ca.crt"),
		"service-account-private-key-file": n.tls("service.key"),
		"service-cluster-ip-range":         n.serviceCIDR,
		"use-service-account-credentials":  "true",
	}, n.controllerManagerArgs)...); err != nil {
		return err
	}
	return n.children.component("kube-scheduler", withArgs(map[string]string{
		"authentication-kubeconfig": n.kubeconfig("scheduler"),
		"authorization-kubeconfig":  n.kubeconfig("scheduler"),
		"bind-address":              "127.0.0.1",
		"kubeconfig":                n.kubeconfig("scheduler"),
		"leader-elect":              "false",
		"profiling":                 "false",
	}, n.schedulerArgs)...)
}

// withArgs makes a command line. An argument of the user, `flag=value`, takes the place of ours.
func withArgs(flags map[string]string, users []string) []string {
	flags = maps.Clone(flags)
	args := []string{}
	for _, arg := range users {
		arg = "--" + strings.TrimLeft(arg, "-")
		name, _, _ := strings.Cut(arg[2:], "=")
		delete(flags, name)
		args = append(args, arg)
	}
	ours := []string{}
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		ours = append(ours, "--"+name+"="+flags[name])
	}
	return append(ours, args...)
}

func adminClient() (*kubernetes.Clientset, error) {
	access, err := clientcmd.BuildConfigFromFlags("", adminKubeconfig)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(access)
}
