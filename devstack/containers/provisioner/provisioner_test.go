package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

func optionsFor(modes ...corev1.PersistentVolumeAccessMode) controller.ProvisionOptions {
	claim := claimOf("team", "data")
	claim.Spec.AccessModes = modes
	claim.Spec.Resources.Requests = corev1.ResourceList{
		corev1.ResourceStorage: resource.MustParse("1Gi"),
	}
	return controller.ProvisionOptions{
		StorageClass: &storagev1.StorageClass{
			ReclaimPolicy: ptr.To(corev1.PersistentVolumeReclaimRetain),
		},
		PVName:           "pvc-1",
		PVC:              claim,
		SelectedNodeName: "here",
	}
}

func TestOnlyClaimsForThisNodeAreServed(t *testing.T) {
	for selected, want := range map[string]bool{"here": true, "there": false, "": false} {
		claim := claimOf("team", "data")
		if selected != "" {
			claim.Annotations = map[string]string{selectedNode: selected}
		}
		if got := (provisioner{node: "here"}).ShouldProvision(t.Context(), claim); got != want {
			t.Errorf("selected node %q: %t", selected, got)
		}
	}
}

func TestOnlyVolumesOfThisNodeAreRemoved(t *testing.T) {
	both := onlyOn("here")
	both.Required.NodeSelectorTerms = append(
		both.Required.NodeSelectorTerms, onlyOn("there").Required.NodeSelectorTerms...)
	for _, test := range []struct {
		affinity *corev1.VolumeNodeAffinity
		want     bool
	}{
		{onlyOn("here"), true},
		{onlyOn("there"), false},
		{both, false},
		{&corev1.VolumeNodeAffinity{}, false},
		{nil, false},
	} {
		volume := &corev1.PersistentVolume{
			Spec: corev1.PersistentVolumeSpec{NodeAffinity: test.affinity},
		}
		if got := (provisioner{node: "here"}).ShouldDelete(t.Context(), volume); got != test.want {
			t.Errorf("%v: %t", test.affinity, got)
		}
	}
}

func TestAVolumeIsWhatItsClaimAsksForOnThisNodeAlone(t *testing.T) {
	base := t.TempDir()
	provisions := provisioner{"here", foldersIn(t, base)}
	volume, state, err := provisions.Provision(t.Context(), optionsFor(corev1.ReadWriteOnce))
	if err != nil || state != controller.ProvisioningFinished {
		t.Fatal(state, err)
	}
	if path := filepath.Join(base, "pvc-1_team_data"); volume.Spec.HostPath.Path != path {
		t.Errorf("the volume is at %s", volume.Spec.HostPath.Path)
	}
	if size := volume.Spec.Capacity[corev1.ResourceStorage]; size.String() != "1Gi" {
		t.Errorf("the volume has %s", size.String())
	}
	if policy := volume.Spec.PersistentVolumeReclaimPolicy; policy != "Retain" {
		t.Errorf("the class's policy became %s", policy)
	}
	if !provisions.ShouldDelete(t.Context(), volume) {
		t.Error("the volume is not this node's own")
	}
	if err := provisions.Delete(t.Context(), volume); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(base); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestWhatAFolderCannotBeIsRefusedAndNothingIsMade(t *testing.T) {
	selecting := optionsFor(corev1.ReadWriteOnce)
	selecting.PVC.Spec.Selector = &metav1.LabelSelector{}
	base := t.TempDir()
	for _, test := range []struct {
		options controller.ProvisionOptions
		want    error
	}{
		{optionsFor(corev1.ReadWriteMany), errAccessMode},
		{optionsFor(corev1.ReadWriteOnce, corev1.ReadOnlyMany), errAccessMode},
		{selecting, errSelector},
	} {
		_, _, err := provisioner{"here", foldersIn(t, base)}.Provision(t.Context(), test.options)
		if !errors.Is(err, test.want) {
			t.Errorf("%v instead of %v", err, test.want)
		}
	}
	if made, err := os.ReadDir(base); err != nil || len(made) > 0 {
		t.Errorf("made: %v, %v", made, err)
	}
}

func TestAVolumeThatIsNoFolderIsLeftAlone(t *testing.T) {
	provisions := provisioner{"here", foldersIn(t, t.TempDir())}
	for _, volume := range []*corev1.PersistentVolume{
		{},
		{Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{
			HostPath: &corev1.HostPathVolumeSource{Path: "/etc"},
		}}},
	} {
		if err := provisions.Delete(t.Context(), volume); !errors.Is(err, errOutside) {
			t.Errorf("%v: %v", volume.Spec.PersistentVolumeSource, err)
		}
	}
}
