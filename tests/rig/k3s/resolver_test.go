package main

import "testing"

func TestResolversThatNoPodReachesAreNotHandedOn(t *testing.T) {
	for text, want := range map[string]bool{
		"nameserver 192.0.2.1\n":                       true,
		"search x\nnameserver 10.0.2.3\n":              true,
		"nameserver 127.0.0.53\noptions edns0\n":       false,
		"nameserver 192.0.2.1\nnameserver 127.0.0.1\n": false,
		"nameserver 169.254.169.254\n":                 false,
		"nameserver fe80::1%eth0\n":                    false,
		"# none\n":                                     false,
	} {
		if got := reachableFromPods(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
