package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestNoConfigMeansDefaults(t *testing.T) {
	c, err := loadConfig(filepath.Join(t.TempDir(), "config.yaml"))
	if err != nil || c.clusterCIDR != "10.42.0.0/16" || c.kubeconfigMode != 0o600 {
		t.Fatalf("%+v %v", c, err)
	}
}

func TestDropInsComeInOrderAndPlusAppends(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"config.yaml":              "disable: [traefik, servicelb]\nnode-name: first\nsecrets-encryption: true\n",
		"config.yaml.d/20-b.yaml":  "node-name: third\nkubelet-arg+: max-pods=120\n",
		"config.yaml.d/10-a.yaml":  "node-name: second\ndisable+: [coredns]\nkubelet-arg: [v=1]\n",
		"config.yaml.d/30-skip.md": "node-name: nobody\n",
	})
	c, err := loadConfig(filepath.Join(dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if c.nodeName != "third" || !c.secretsEncryption {
		t.Errorf("%+v", c)
	}
	if want := []string{"traefik", "servicelb", "coredns"}; !reflect.DeepEqual(c.disable, want) {
		t.Errorf("disable: %v", c.disable)
	}
	if want := []string{"v=1", "max-pods=120"}; !reflect.DeepEqual(c.kubeletArgs, want) {
		t.Errorf("kubelet-arg: %v", c.kubeletArgs)
	}
}

func TestFaultsNameTheKey(t *testing.T) {
	for text, want := range map[string]string{
		"node-nam: x":                 `unknown key "node-nam"`,
		"secrets-encryption: maybe":   `secrets-encryption: expected true or false, found "maybe"`,
		"write-kubeconfig-mode: rw":   `write-kubeconfig-mode: expected an octal mode, found "rw"`,
		"tls-san: {a: b}":             "tls-san: expected a word",
		"disable: [traefik]\n  x: y:": "config.yaml",
	} {
		dir := writeFiles(t, map[string]string{"config.yaml": text})
		if _, err := loadConfig(filepath.Join(dir, "config.yaml")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestNumbersStayAsWritten(t *testing.T) {
	dir := writeFiles(t, map[string]string{"config.yaml": "write-kubeconfig-mode: \"0644\"\nkube-controller-manager-arg: [node-cidr-mask-size=22]\n"})
	c, err := loadConfig(filepath.Join(dir, "config.yaml"))
	if err != nil || c.kubeconfigMode != 0o644 || c.controllerManagerArgs[0] != "node-cidr-mask-size=22" {
		t.Fatalf("%+v %v", c, err)
	}
}
