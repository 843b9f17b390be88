package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// selectedNode is the annotation in which the scheduler names the node of a claim's pod.
const selectedNode = "volume.kubernetes.io/selected-node"

var (
	errSelector   = errors.New("a dynamically provisioned volume cannot be selected by labels")
	errAccessMode = errors.New("a folder of one node can only be ReadWriteOnce or ReadWriteOncePod")
)

// provisioner creates and removes the volumes of one node. There is one on every node,
// and none handles another's volumes, so they need no leader election.
type provisioner struct {
	node    string
	folders folders
}

var (
	_ controller.Provisioner   = provisioner{}
	_ controller.Qualifier     = provisioner{}
	_ controller.DeletionGuard = provisioner{}
)

// ShouldProvision returns true if the scheduler has chosen this node.
func (p provisioner) ShouldProvision(
	_ context.Context, claim *corev1.PersistentVolumeClaim,
) bool {
	return claim.Annotations[selectedNode] == p.node
}

// ShouldDelete returns true if the volume is on this node.
func (p provisioner) ShouldDelete(_ context.Context, volume *corev1.PersistentVolume) bool {
	return slices.Equal(nodesOf(volume), []string{p.node})
}

// Provision creates the folder and returns its PersistentVolume.
func (p provisioner) Provision(
	_ context.Context, options controller.ProvisionOptions,
) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	if err := check(options.PVC); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	path, err := p.folders.add(folderName(options.PVName, options.PVC))
	if err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("create the volume's folder: %w", err)
	}
	return p.volume(options, path), controller.ProvisioningFinished, nil
}

// Delete removes the volume's folder.
func (p provisioner) Delete(_ context.Context, volume *corev1.PersistentVolume) error {
	if volume.Spec.HostPath == nil {
		return fmt.Errorf("volume %s: %w", volume.Name, errOutside)
	}
	if err := p.folders.remove(volume.Spec.HostPath.Path); err != nil {
		return fmt.Errorf("remove the volume's folder: %w", err)
	}
	return nil
}

func check(claim *corev1.PersistentVolumeClaim) error {
	if claim.Spec.Selector != nil {
		return errSelector
	}
	for _, mode := range claim.Spec.AccessModes {
		if mode != corev1.ReadWriteOnce && mode != corev1.ReadWriteOncePod {
			return fmt.Errorf("%s: %w", mode, errAccessMode)
		}
	}
	return nil
}

func (p provisioner) volume(
	options controller.ProvisionOptions, path string,
) *corev1.PersistentVolume {
	claim := options.PVC.Spec
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: ptr.Deref(
				options.StorageClass.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete),
			AccessModes: claim.AccessModes,
			VolumeMode:  claim.VolumeMode,
			Capacity: corev1.ResourceList{
				corev1.ResourceStorage: claim.Resources.Requests[corev1.ResourceStorage],
			},
			// Not DirectoryOrCreate: a missing folder is an error, not an empty volume.
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{
				Path: path, Type: ptr.To(corev1.HostPathDirectory),
			}},
			NodeAffinity: onlyOn(p.node),
		},
	}
}

// onlyOn selects the node by its host name label, as the scheduler compares volumes with
// labels only. In kind, that label is the node's name.
func onlyOn(node string) *corev1.VolumeNodeAffinity {
	return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{
				Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
			}},
		}},
	}}
}

// nodesOf returns the host name labels in a volume's node affinity.
func nodesOf(volume *corev1.PersistentVolume) []string {
	if volume.Spec.NodeAffinity == nil || volume.Spec.NodeAffinity.Required == nil {
		return nil
	}
	var nodes []string
	for _, term := range volume.Spec.NodeAffinity.Required.NodeSelectorTerms {
		for _, expression := range term.MatchExpressions {
			if expression.Key == corev1.LabelHostname {
				nodes = append(nodes, expression.Values...)
			}
		}
	}
	return nodes
}
