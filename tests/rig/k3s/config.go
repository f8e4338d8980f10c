package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

const (
	configFile     = "/etc/rancher/k3s/config.yaml"
	registriesFile = "/etc/rancher/k3s/registries.yaml"
	defaultDataDir = "/var/lib/rancher/k3s"
)

// config is what config.yaml and its drop-ins say, with k3s's own defaults for the rest.
type config struct {
	dataDir, nodeName, nodeIP, resolvConf, pauseImage   string
	clusterCIDR, serviceCIDR, clusterDNS, clusterDomain string
	kubeconfigMode                                      os.FileMode
	secretsEncryption, protectKernelDefaults            bool
	disable, tlsSAN, nodeLabels                         []string
	apiserverArgs, controllerManagerArgs                []string
	schedulerArgs, kubeletArgs, kubeProxyArgs           []string
}

// accepted are keys of k3s for parts that this program does not have, so that either value is the truth.
var accepted = []string{"disable-helm-controller", "disable-cloud-controller", "disable-network-policy", "flannel-backend"}

// loadConfig reads the main file, then each drop-in in alphabetical order. As with k3s the last value of a
// key wins, `key+` adds to what stood before, and a key that nobody knows stops the start.
func loadConfig(file string) (config, error) {
	files := []string{}
	if _, err := os.Stat(file); err == nil {
		files = append(files, file)
	}
	dropIns, err := filepath.Glob(filepath.Join(file+".d", "*.y*ml"))
	if err != nil {
		return config{}, err
	}
	slices.Sort(dropIns)
	settings := map[string][]string{}
	for _, file := range append(files, dropIns...) {
		if err := mergeSettings(settings, file); err != nil {
			return config{}, fmt.Errorf("%s: %w", file, err)
		}
	}
	return makeConfig(settings)
}

func mergeSettings(settings map[string][]string, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var found map[string]any
	if err := yaml.Unmarshal(text, &found); err != nil {
		return err
	}
	for key, value := range found {
		words, err := settingWords(value)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		name, adds := strings.CutSuffix(key, "+")
		if adds {
			words = append(slices.Clone(settings[name]), words...)
		}
		settings[name] = words
	}
	return nil
}

func settingWords(value any) ([]string, error) {
	switch value := value.(type) {
	case []any:
		words := []string{}
		for _, item := range value {
			word, err := settingWords(item)
			if err != nil {
				return nil, err
			}
			words = append(words, word...)
		}
		return words, nil
	case string:
		return []string{value}, nil
	case bool:
		return []string{strconv.FormatBool(value)}, nil
	case float64:
		return []string{strconv.FormatFloat(value, 'f', -1, 64)}, nil
	}
	return nil, fmt.Errorf("expected a word, a number, true, false or a list of them, found %v", value)
}

func makeConfig(settings map[string][]string) (config, error) {
	c := config{
		dataDir: defaultDataDir, pauseImage: "rig.binderbox.test/pause:1",
		clusterCIDR: "10.42.0.0/16", serviceCIDR: "10.43.0.0/16", clusterDNS: "10.43.0.10", clusterDomain: "cluster.local",
		kubeconfigMode: 0o600,
	}
	words := map[string]*string{
		"data-dir": &c.dataDir, "node-name": &c.nodeName, "node-ip": &c.nodeIP, "resolv-conf": &c.resolvConf,
		"pause-image": &c.pauseImage, "cluster-cidr": &c.clusterCIDR, "service-cidr": &c.serviceCIDR,
		"cluster-dns": &c.clusterDNS, "cluster-domain": &c.clusterDomain,
	}
	switches := map[string]*bool{
		"secrets-encryption": &c.secretsEncryption, "protect-kernel-defaults": &c.protectKernelDefaults,
	}
	lists := map[string]*[]string{
		"disable": &c.disable, "tls-san": &c.tlsSAN, "node-label": &c.nodeLabels,
		"kube-apiserver-arg": &c.apiserverArgs, "kube-controller-manager-arg": &c.controllerManagerArgs,
		"kube-scheduler-arg": &c.schedulerArgs, "kubelet-arg": &c.kubeletArgs, "kube-proxy-arg": &c.kubeProxyArgs,
	}
	for key, found := range settings {
		last := ""
		if len(found) > 0 {
			last = found[len(found)-1]
		}
		switch {
		case slices.Contains(accepted, key):
		case words[key] != nil:
			*words[key] = last
		case switches[key] != nil:
			on, err := strconv.ParseBool(last)
			if err != nil {
				return c, fmt.Errorf("%s: expected true or false, found %q", key, last)
			}
			*switches[key] = on
		case key == "disable" || key == "tls-san": // k3s lets these be written with commas as well
			*lists[key] = strings.FieldsFunc(strings.Join(found, ","), func(r rune) bool { return r == ',' })
		case lists[key] != nil:
			*lists[key] = found
		case key == "write-kubeconfig-mode":
			mode, err := strconv.ParseUint(last, 8, 32)
			if err != nil {
				return c, fmt.Errorf("%s: expected an octal mode, found %q", key, last)
			}
			c.kubeconfigMode = os.FileMode(mode)
		default:
			return c, fmt.Errorf("unknown key %q", key)
		}
	}
	return c, nil
}
