package main

import (
	"context"
	"errors"
	"log"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// lookAtMachine fills in what the config left to the machine.
func (n *node) lookAtMachine(context.Context) (err error) {
	if n.nodeName == "" {
		if n.nodeName, err = os.Hostname(); err != nil {
			return err
		}
	}
	n.nodeName = strings.ToLower(n.nodeName)
	if n.nodeIP == "" {
		if n.nodeIP, err = ownAddress(); err != nil {
			return err
		}
	}
	n.lacksSysResource, err = lacksCapability(24)
	return err
}

// ownAddress is the address of the default route, or on a closed network the first that is not local.
// The order of interfaces alone would name a bridge of pods first on a second start.
func ownAddress() (string, error) {
	if ip, err := utilnet.ChooseHostInterface(); err == nil {
		return ip.String(), nil
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, address := range addresses {
		if prefix, ok := address.(*net.IPNet); ok && prefix.IP.To4() != nil && prefix.IP.IsGlobalUnicast() {
			return prefix.IP.String(), nil
		}
	}
	return "", errors.New("this machine has no address but loopback")
}

// lacksCapability asks the bounding set: what is not in it, no process here can ever have.
func lacksCapability(bit int) (bool, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(status)) {
		if set, found := strings.CutPrefix(line, "CapBnd:"); found {
			bits, err := strconv.ParseUint(strings.TrimSpace(set), 16, 64)
			return bits&(1<<bit) == 0, err
		}
	}
	return false, errors.New("/proc/self/status names no CapBnd")
}

// setKernelParameters lets packets of pods pass and be seen by iptables on their bridge. The modules may be
// built in, or belong to the machine around a container, so a refusal is said and is no failure.
func (n *node) setKernelParameters(ctx context.Context) error {
	for _, module := range []string{"overlay", "br_netfilter", "nf_conntrack", "iptable_nat", "iptable_filter"} {
		_ = exec.CommandContext(ctx, "modprobe", module).Run()
	}
	for file, value := range map[string]string{
		"/proc/sys/net/ipv4/ip_forward":                 "1",
		"/proc/sys/net/ipv4/conf/all/forwarding":        "1",
		"/proc/sys/net/bridge/bridge-nf-call-iptables":  "1",
		"/proc/sys/net/bridge/bridge-nf-call-ip6tables": "1",
	} {
		if err := os.WriteFile(file, []byte(value), 0o644); err != nil {
			log.Printf("kernel parameter not set: %v", err)
		}
	}
	return nil
}
