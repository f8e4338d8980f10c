package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"text/template"
	"time"
)

const containerdSocket = "/run/k3s/containerd/containerd.sock"

// The imports line is k3s's own door for an operator's settings. OOM scores are restricted where root may
// not lower them: pause containers ask for -998.
var containerdConfig = template.Must(template.New("config.toml").Parse(`version = 3
root = "{{.Agent}}/containerd"
state = "/run/k3s/containerd"
imports = ["{{.Agent}}/etc/containerd/config-v3.toml.d/*.toml"]

[grpc]
  address = "{{.Socket}}"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{{.PauseImage}}"
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = "{{.Agent}}/etc/containerd/certs.d"

[plugins."io.containerd.cri.v1.runtime"]
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  restrict_oom_score_adj = {{.LacksSysResource}}
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{{.Bin}}"]
    conf_dir = "{{.Agent}}/etc/cni/net.d"
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = "{{.Bin}}/runc"
        SystemdCgroup = {{.SystemdCgroup}}
`))

func (n *node) startContainerd(ctx context.Context) error {
	etc := n.path("agent/etc/containerd")
	var text bytes.Buffer
	if err := containerdConfig.Execute(&text, map[string]any{
		"Agent": n.path("agent"), "Bin": n.bin(""), "Socket": containerdSocket, "PauseImage": n.pauseImage,
		"LacksSysResource": n.lacksSysResource, "SystemdCgroup": cgroupV2(),
	}); err != nil {
		return err
	}
	r, err := loadRegistries(registriesFile)
	if err != nil {
		return err
	}
	text.WriteString(r.credentials())
	if err := writeFile(etc+"/config.toml", text.Bytes(), 0o600); err != nil {
		return err
	}
	if err := r.write(etc + "/certs.d"); err != nil {
		return err
	}
	// containerd finds its shim, and CNI plugins find each other, through the search path.
	if err := os.Setenv("PATH", n.bin("")+":"+os.Getenv("PATH")); err != nil {
		return err
	}
	// It says too much for the journal; k3s, too, gives it a log of its own here.
	if err := os.MkdirAll(n.path("agent/containerd"), 0o700); err != nil {
		return err
	}
	output, err := os.OpenFile(n.path("agent/containerd/containerd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer output.Close()
	if err := n.children.start("containerd", output, n.bin("containerd"), "--config", etc+"/config.toml"); err != nil {
		return err
	}
	return until(ctx, time.Minute, func(ctx context.Context) error { return n.ctr(ctx, "version") })
}

func (r registries) write(certsDir string) error {
	files, err := r.render()
	if err != nil {
		return err
	}
	if err := os.RemoveAll(certsDir); err != nil { // a registry that left the file must leave here too
		return err
	}
	for directory, text := range files {
		if err := writeFile(certsDir+"/"+directory+"/hosts.toml", []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// ctr runs one command against this containerd; its output is the error when it fails.
func (n *node) ctr(ctx context.Context, args ...string) error {
	return quiet(exec.CommandContext(ctx, n.bin("ctr"), append([]string{"-a", containerdSocket, "-n", "k8s.io"}, args...)...))
}

func cgroupV2() bool {
	_, err := os.Stat("/sys/fs/cgroup/cgroup.controllers")
	return err == nil
}
