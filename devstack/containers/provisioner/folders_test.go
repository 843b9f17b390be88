package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func claimOf(namespace, name string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
	}
}

func foldersIn(t *testing.T, path string) folders {
	t.Helper()
	opened, err := openFolders(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.root.Close() })
	return opened
}

func TestAFolderIsNamedAfterItsVolumeAndItsClaim(t *testing.T) {
	if name := folderName("pvc-1", claimOf("team", "data")); name != "pvc-1_team_data" {
		t.Errorf("the folder is called %q", name)
	}
}

func TestALongNameIsCutToTheLimitOfFileSystems(t *testing.T) {
	name := folderName("pvc-1", claimOf("team", strings.Repeat("n", 253)))
	if len(name) > maxNameLength || !strings.HasPrefix(name, "pvc-1_team_n") {
		t.Errorf("the folder is called %q", name)
	}
}

func TestAFolderIsWritableForAllUsersWithAnyUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	path, err := foldersIn(t, t.TempDir()).add("a")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != folderMode {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestASecondAttemptKeepsTheFolder(t *testing.T) {
	volumes := foldersIn(t, t.TempDir())
	path, err := volumes.add("a")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(path, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := volumes.add("a"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestAFolderIsRemovedWithItsContents(t *testing.T) {
	volumes := foldersIn(t, t.TempDir())
	path, err := volumes.add("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "b", "c"), 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := volumes.remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestNothingOutsideIsRemoved(t *testing.T) {
	base := t.TempDir()
	root, other := filepath.Join(base, "volumes"), filepath.Join(base, "other")
	for _, folder := range []string{root, other, filepath.Join(root, "a", "deep")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	volumes := foldersIn(t, root)
	for _, path := range []string{
		"", "/", ".", "..", other, base, root, root + "/", root + "/.", root + "/..",
		root + "/../other", root + "/a/deep", root + "/a/../../other", "a",
	} {
		if err := volumes.remove(path); !errors.Is(err, errOutside) {
			t.Errorf("remove %q: %v", path, err)
		}
	}
	for _, folder := range []string{other, filepath.Join(root, "a", "deep")} {
		if _, err := os.Stat(folder); err != nil {
			t.Error(err)
		}
	}
}

func TestALinkIsRemovedAndNotFollowed(t *testing.T) {
	base := t.TempDir()
	root, other := filepath.Join(base, "volumes"), filepath.Join(base, "other")
	for _, folder := range []string{root, filepath.Join(other, "kept")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	volumes := foldersIn(t, root)
	path, err := volumes.add("a")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{filepath.Join(root, "link"), filepath.Join(path, "link")} {
		if err := os.Symlink(other, link); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{filepath.Join(root, "link"), path} {
		if err := volumes.remove(path); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(other, "kept")); err != nil {
		t.Error(err)
	}
}

func TestASymbolicLinkIsNotUsedAsAVolume(t *testing.T) {
	base := t.TempDir()
	if err := os.Mkdir(filepath.Join(base, "volumes"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(base, filepath.Join(base, "volumes", "a")); err != nil {
		t.Fatal(err)
	}
	if _, err := foldersIn(t, filepath.Join(base, "volumes")).add("a"); err == nil {
		t.Error("a link out of the folder was taken for a volume")
	}
}
