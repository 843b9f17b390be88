package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const kubeconfig = `apiVersion: v1
kind: Config
current-context: node
contexts: [{name: node, context: {cluster: kind, user: node}}]
clusters: [{name: kind, cluster: {server: "https://control-plane:6443"}}]
users: [{name: node, user: {client-certificate: /not/mounted.pem}}]
`

func writeKubeconfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubelet.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheServerIsTheKubeletsAndItsCredentialsAreNotNeeded(t *testing.T) {
	server, err := serverIn(writeKubeconfig(t, kubeconfig))
	if err != nil || server != "https://control-plane:6443" {
		t.Errorf("server %q, %v", server, err)
	}
}

func TestAKubeconfigThatNamesNoServerIsAnError(t *testing.T) {
	for _, gone := range []string{"current-context: node", "name: kind"} {
		text := strings.Replace(kubeconfig, gone, strings.Replace(gone, ": ", ": other-", 1), 1)
		if server, err := serverIn(writeKubeconfig(t, text)); err == nil {
			t.Errorf("server %q without %q", server, gone)
		}
	}
}
