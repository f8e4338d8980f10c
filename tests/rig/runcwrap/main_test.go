package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestConfigFile(t *testing.T) {
	for args, want := range map[string]string{
		"--root /run/r --log create create --bundle /b --pid-file p id": "/b/config.json",
		"run --bundle=/b id": "/b/config.json",
		"create id":          "config.json",
		"--root r exec --process /tmp/p.json --detach id": "/tmp/p.json",
		"exec id mkdir -p /data":                          "",
		"delete --force id":                               "",
	} {
		if got := configFile(strings.Fields(args)); got != want {
			t.Errorf("%s: %q", args, got)
		}
	}
}

func TestEditTakesOutWhatCannotBeGranted(t *testing.T) {
	process := `{"oomScoreAdj":-998,"rlimits":[{"type":"RLIMIT_NOFILE"}],"cwd":"/","capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE"]}}`
	tamed := map[string]any{
		"oomScoreAdj": 0.0, "cwd": "/", "capabilities": map[string]any{"bounding": []any{"CAP_CHOWN"}},
	}
	for text, want := range map[string]map[string]any{
		process:                          tamed,
		`{"process":` + process + `}`:    {"process": tamed},
		`{"oomScoreAdj":500,"cwd":"/a"}`: {"oomScoreAdj": 500.0, "cwd": "/a"},
	} {
		file := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := edit(file); err != nil {
			t.Fatal(err)
		}
		edited, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(edited, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s became %s", text, edited)
		}
	}
}
