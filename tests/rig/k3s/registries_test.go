package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func renderRegistries(t *testing.T, text string) map[string]string {
	t.Helper()
	r, err := loadRegistries(filepath.Join(writeFiles(t, map[string]string{"registries.yaml": text}), "registries.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := r.render()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestMirrorWithCredential(t *testing.T) {
	files := renderRegistries(t, `
mirrors:
  registry.binderbox.svc:5000:
    endpoint: ["http://10.43.0.20:5000"]
configs:
  10.43.0.20:5000:
    auth: {username: box, password: secret}
`)
	want := `server = "https://registry.binderbox.svc:5000"

[host."http://10.43.0.20:5000"]
  capabilities = ["pull", "resolve"]
`
	if len(files) != 1 || files["registry.binderbox.svc:5000"] != want {
		t.Errorf("%v", files)
	}
}

func TestRegistryWithoutMirror(t *testing.T) {
	files := renderRegistries(t, `
configs:
  r.example:
    tls: {ca_file: /etc/ssl/ca.pem, insecure_skip_verify: true}
    auth: {auth: eDp5}
`)
	want := `server = "https://r.example"
ca = "/etc/ssl/ca.pem"
skip_verify = true
`
	if files["r.example"] != want {
		t.Errorf("%v", files)
	}
}

func TestStarIsTheDefaultForEveryRegistry(t *testing.T) {
	files := renderRegistries(t, "mirrors: {\"*\": {endpoint: [mirror.example]}}")
	if text, ok := files["_default"]; !ok || !strings.Contains(text, `[host."https://mirror.example"]`) || strings.Contains(text, "server") {
		t.Errorf("%v", files)
	}
}

func TestNoFileMeansNoRegistries(t *testing.T) {
	if r, err := loadRegistries(filepath.Join(t.TempDir(), "registries.yaml")); err != nil || len(r.Mirrors) > 0 {
		t.Errorf("%v %v", r, err)
	}
}

func TestUnknownRegistryKeyIsAnError(t *testing.T) {
	dir := writeFiles(t, map[string]string{"registries.yaml": "mirrors: {a: {endpoint: [b], rewrite: {c: d}}}"})
	if _, err := loadRegistries(filepath.Join(dir, "registries.yaml")); err == nil || !strings.Contains(err.Error(), "rewrite") {
		t.Errorf("%v", err)
	}
}

func TestCredentialsStandInContainerdsConfig(t *testing.T) {
	text := `
configs:
  r.example:
    auth: {auth: eDp5}
  10.43.0.20:5000:
    auth: {username: box, password: secret}
  without.example:
    tls: {insecure_skip_verify: true}
`
	r, err := loadRegistries(filepath.Join(writeFiles(t, map[string]string{"registries.yaml": text}), "registries.yaml"))
	want := `
[plugins."io.containerd.cri.v1.images".registry.configs."10.43.0.20:5000".auth]
  username = "box"
  password = "secret"

[plugins."io.containerd.cri.v1.images".registry.configs."r.example".auth]
  auth = "eDp5"
`
	if err != nil || r.credentials() != want {
		t.Errorf("%v %q", err, r.credentials())
	}
}
