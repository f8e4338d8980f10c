// The rig's stand-in for k3s: real Kubernetes components behind the part of k3s's surface that binderbox
// relies on. tests/rig/README.md says what is real here and what is not.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// components run as children of `k3s server`, each under its official command, so that every flag means
// what the Kubernetes reference says it means.
var components = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kube-proxy":              proxy.NewProxyCommand,
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
	"kubectl":                 kubectl.NewDefaultKubectlCommand,
}

const usage = `usage: k3s server            run this node, as /etc/rancher/k3s/config.yaml says
       k3s kubectl ARGS...   kubectl on this node's cluster
       k3s ctr ARGS...       ctr on this node's containerd
       k3s --version`

func main() {
	log.SetFlags(0) // the journal knows the time
	args := os.Args[1:]
	if name := filepath.Base(os.Args[0]); name == "kubectl" || name == "ctr" {
		args = append([]string{name}, args...)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	os.Exit(run(args[0], args[1:]))
}

func run(command string, args []string) int {
	switch command {
	case "--version", "-v":
		release, _, _ := strings.Cut(version.Get().GitVersion, "+")
		fmt.Println("binderbox rig stand-in for k3s: kubernetes " + release)
		return 0
	case "--help", "-h", "help":
		fmt.Println(usage)
		return 0
	case "server":
		if len(args) > 0 {
			return fail(fmt.Errorf("k3s server takes its settings from %s alone, got %q", configFile, args))
		}
		return fail(serve())
	case "etcd":
		return fail(runEtcd(args))
	case "ctr":
		return fail(becomeCtr(args))
	case "kubectl":
		if os.Getenv("KUBECONFIG") == "" {
			os.Setenv("KUBECONFIG", adminKubeconfig)
		}
	}
	component, known := components[command]
	if !known {
		return fail(fmt.Errorf("unknown command %q\n%s", command, usage))
	}
	os.Args = append([]string{command}, args...) // cobra reads the process's own arguments
	return cli.Run(component())
}

// becomeCtr runs the ctr that the server unpacked, on its socket and in Kubernetes' namespace.
func becomeCtr(args []string) error {
	if os.Getenv("CONTAINERD_ADDRESS") == "" {
		os.Setenv("CONTAINERD_ADDRESS", containerdSocket)
	}
	if os.Getenv("CONTAINERD_NAMESPACE") == "" {
		os.Setenv("CONTAINERD_NAMESPACE", "k8s.io")
	}
	ctr := filepath.Join(defaultDataDir, "data/current/bin/ctr")
	return fmt.Errorf("%s: %w", ctr, syscall.Exec(ctr, append([]string{"ctr"}, args...), os.Environ()))
}

func fail(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, "k3s stand-in:", err)
		return 1
	}
	return 0
}
