package main

import (
	"context"
	_ "embed"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

//go:embed coredns.yaml
var corednsManifest string

// writePackagedManifests writes CoreDNS, the one packaged part that binderbox keeps of k3s, at every start
// unless it is disabled. A `.skip` file beside it keeps it from being applied.
func (n *node) writePackagedManifests() error {
	directory := n.path("server/manifests")
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	file := filepath.Join(directory, "coredns.yaml")
	if slices.Contains(n.disable, "coredns") {
		if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
			return err
		}
		return nil
	}
	text := strings.NewReplacer(
		"%{CLUSTER_DOMAIN}%", n.clusterDomain, "%{CLUSTER_DNS}%", n.clusterDNS,
		"%{NODE_HOSTS}%", n.nodeIP+" "+n.nodeName,
	).Replace(corednsManifest)
	return writeFile(file, []byte(text), 0o600)
}

// attempt is the last time that a manifest was applied.
type attempt struct {
	file   fileState
	failed time.Time // zero if it went well
}

const retryAfter = 15 * time.Second // as often as k3s looks

// applyManifests applies each file of server/manifests that is new or changed. One that fails is said and
// tried again: it may need a resource that another file or a chart brings later.
func (n *node) applyManifests(ctx context.Context, attempts map[string]attempt) {
	files, _ := filepath.Glob(n.path("server/manifests/*.y*ml"))
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			continue
		}
		if _, err := os.Stat(file + ".skip"); err == nil {
			continue
		}
		now := attempt{file: fileState{info.Size(), info.ModTime()}}
		last := attempts[file]
		if last.file == now.file && (last.failed.IsZero() || time.Since(last.failed) < retryAfter) {
			continue
		}
		if err := n.kubectl(ctx, "apply", "--server-side", "--force-conflicts", "-f", file); err != nil {
			log.Printf("%s: %v", file, err)
			now.failed = time.Now()
		}
		attempts[file] = now
	}
}

func (n *node) kubectl(ctx context.Context, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return quiet(exec.CommandContext(ctx, self, append([]string{"kubectl", "--cache-dir", "/run/k3s/kubectl", "--kubeconfig", adminKubeconfig}, args...)...))
}

// quiet runs a command that has nothing to say unless it fails.
func quiet(command *exec.Cmd) error {
	output, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(output)))
	}
	return nil
}
