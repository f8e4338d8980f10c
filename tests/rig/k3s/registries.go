package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// registries is registries.yaml in k3s's form. What is not here (rewrites) is an error, not a silence.
type registries struct {
	Mirrors map[string]struct {
		Endpoints []string `json:"endpoint"`
	} `json:"mirrors"`
	Configs map[string]registryConfig `json:"configs"`
}

type registryConfig struct {
	Auth struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Auth     string `json:"auth"`
	} `json:"auth"`
	TLS struct {
		CAFile             string `json:"ca_file"`
		CertFile           string `json:"cert_file"`
		KeyFile            string `json:"key_file"`
		InsecureSkipVerify bool   `json:"insecure_skip_verify"`
	} `json:"tls"`
}

func loadRegistries(file string) (registries, error) {
	var r registries
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if err := yaml.UnmarshalStrict(text, &r); err != nil {
		return r, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// render makes one hosts.toml per registry, by the name of its directory below certs.d. Credentials stand in
// none: k3s writes them into containerd's own config.
func (r registries) render() (map[string]string, error) {
	names := []string{}
	for name := range r.Mirrors {
		names = append(names, name)
	}
	for name := range r.Configs {
		if !slices.Contains(names, name) && !r.isEndpoint(name) {
			names = append(names, name)
		}
	}
	files := map[string]string{}
	for _, name := range names {
		var text strings.Builder
		directory := name
		if name == "*" {
			directory = "_default"
		} else {
			fmt.Fprintf(&text, "server = %q\n", "https://"+name)
			text.WriteString(r.Configs[name].render(""))
		}
		for _, endpoint := range r.Mirrors[name].Endpoints {
			address, err := endpointURL(endpoint)
			if err != nil {
				return nil, fmt.Errorf("mirrors.%s.endpoint: %w", name, err)
			}
			section := fmt.Sprintf("host.%q", address)
			fmt.Fprintf(&text, "\n[%s]\n  capabilities = [\"pull\", \"resolve\"]\n", section)
			text.WriteString(r.Configs[address.Host].render("  "))
		}
		files[directory] = text.String()
	}
	return files, nil
}

func (r registries) isEndpoint(host string) bool {
	for _, mirror := range r.Mirrors {
		for _, endpoint := range mirror.Endpoints {
			if address, err := endpointURL(endpoint); err == nil && address.Host == host {
				return true
			}
		}
	}
	return false
}

func endpointURL(endpoint string) (*url.URL, error) {
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	return url.Parse(endpoint)
}

// credentials makes the tables of containerd's config that hold them, by host, in an order that stays.
func (r registries) credentials() string {
	var text strings.Builder
	for _, host := range slices.Sorted(maps.Keys(r.Configs)) {
		auth := r.Configs[host].Auth
		if auth.Username == "" && auth.Auth == "" {
			continue
		}
		fmt.Fprintf(&text, "\n[plugins.\"io.containerd.cri.v1.images\".registry.configs.%q.auth]\n", host)
		for _, pair := range [][2]string{{"username", auth.Username}, {"password", auth.Password}, {"auth", auth.Auth}} {
			if pair[1] != "" {
				fmt.Fprintf(&text, "  %s = %q\n", pair[0], pair[1])
			}
		}
	}
	return text.String()
}

// render writes the lines of one host.
func (c registryConfig) render(indent string) string {
	var text strings.Builder
	if c.TLS.CAFile != "" {
		fmt.Fprintf(&text, "%sca = %q\n", indent, c.TLS.CAFile)
	}
	if c.TLS.CertFile != "" {
		fmt.Fprintf(&text, "%sclient = [[%q, %q]]\n", indent, c.TLS.CertFile, c.TLS.KeyFile)
	}
	if c.TLS.InsecureSkipVerify {
		fmt.Fprintf(&text, "%sskip_verify = true\n", indent)
	}
	return text.String()
}
