package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
	jobsetclient "sigs.k8s.io/jobset/client-go/clientset/versioned"
	jobsetinformers "sigs.k8s.io/jobset/client-go/informers/externalversions"
	jobsetlisters "sigs.k8s.io/jobset/client-go/listers/jobset/v1alpha2"
)

const (
	fieldManager = "gang-controller"
	workers      = 4
	groupIndex   = "group"
)

// controller creates the PodGroups of JobSets and reports the state of gangs as a
// condition of the JobSet. Every action follows from the API's state alone and is
// idempotent, so several replicas need no leader election.
type controller struct {
	jobSets       jobsetclient.Interface
	factory       informers.SharedInformerFactory
	jobSetFactory jobsetinformers.SharedInformerFactory
	groupFactory  dynamicinformer.DynamicSharedInformerFactory
	jobSetLister  jobsetlisters.JobSetLister
	groups        *groups
	nodeLister    corelisters.NodeLister
	pods          cache.SharedIndexInformer

	queue    workqueue.TypedRateLimitingInterface[cache.ObjectName]
	waiting  sync.Map
	recorder record.EventRecorder
	handlers []cache.InformerSynced
	synced   atomic.Bool
}

type clients struct {
	core    kubernetes.Interface
	jobSets jobsetclient.Interface
	groups  dynamic.Interface
}

func newController(apis clients, api groupAPI) (*controller, error) {
	c := &controller{jobSets: apis.jobSets, recorder: newRecorder(apis.core)}
	c.factory = informers.NewSharedInformerFactoryWithOptions(
		apis.core, 0, informers.WithTransform(stripFields))
	c.jobSetFactory = jobsetinformers.NewSharedInformerFactoryWithOptions(
		apis.jobSets, 0, jobsetinformers.WithTransform(stripFields))
	c.groupFactory = dynamicinformer.NewDynamicSharedInformerFactory(apis.groups, 0)
	c.groups = newGroups(api, apis.groups, c.groupFactory)
	c.queue = workqueue.NewTypedRateLimitingQueue(
		workqueue.DefaultTypedControllerRateLimiter[cache.ObjectName]())
	sets := c.jobSetFactory.Jobset().V1alpha2().JobSets()
	nodes := c.factory.Core().V1().Nodes()
	c.pods = c.factory.Core().V1().Pods().Informer()
	c.jobSetLister, c.nodeLister = sets.Lister(), nodes.Lister()
	return c, errors.Join(
		c.pods.AddIndexers(cache.Indexers{groupIndex: c.groupKeysOfPod}),
		c.addHandler(sets.Informer(), c.onJobSet),
		c.groups.shared().SetTransform(stripFields),
		c.addHandler(c.groups.shared(), c.onGroup),
		c.addHandler(nodes.Informer(), c.onNode),
		c.addHandler(c.pods, c.onPod),
	)
}

// run processes the queue until the context is cancelled.
func (c *controller) run(ctx context.Context) error {
	defer c.queue.ShutDown()
	c.factory.Start(ctx.Done())
	c.jobSetFactory.Start(ctx.Done())
	c.groupFactory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), c.handlers...) {
		return errors.New("stopped before the caches were synced")
	}
	c.synced.Store(true)
	klog.InfoS("the gang controller is ready")
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for c.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	c.queue.ShutDown()
	running.Wait()
	return nil
}

// health serves /healthz, and /readyz, which fails until the caches are synced.
func (c *controller) health() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/readyz", func(answer http.ResponseWriter, _ *http.Request) {
		if !c.synced.Load() {
			http.Error(answer, "the caches are not synced yet", http.StatusServiceUnavailable)
		}
	})
	return mux
}

func (c *controller) next(ctx context.Context) bool {
	key, shutdown := c.queue.Get()
	if shutdown {
		return false
	}
	defer c.queue.Done(key)
	if err := c.reconcile(ctx, key); err != nil {
		if !apierrors.IsConflict(err) {
			runtime.HandleErrorWithContext(ctx, err, "cannot reconcile", "jobSet", key)
		}
		c.queue.AddRateLimited(key)
		return true
	}
	c.queue.Forget(key)
	return true
}

func (c *controller) reconcile(ctx context.Context, key cache.ObjectName) error {
	set, err := c.jobSetLister.JobSets(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) || (err == nil && !isActive(set)) {
		c.waiting.Delete(key)
		return nil
	}
	if err != nil {
		return err
	}
	if !isMarked(set) {
		if wantsGang(set) {
			return c.reportUngrouped(ctx, set)
		}
		return nil
	}
	group, err := c.ensureGroup(ctx, set)
	if err != nil || group == nil {
		return err
	}
	return c.reportGang(ctx, set, group)
}

func (c *controller) onJobSet(_, current any) {
	if set, ok := current.(*jobset.JobSet); ok {
		c.queue.Add(cache.MetaObjectToName(set))
	}
}

func (c *controller) onGroup(_, current any) {
	object, err := meta.Accessor(current)
	if err != nil {
		return
	}
	if name, found := object.GetLabels()[jobset.JobSetNameKey]; found {
		c.queue.Add(cache.ObjectName{Namespace: object.GetNamespace(), Name: name})
	}
}

func (c *controller) onPod(old, current any) {
	pod, ok := current.(*corev1.Pod)
	if !ok {
		return
	}
	if name, found := pod.Labels[jobset.JobSetNameKey]; found && c.groups.nameFor(pod) != "" {
		c.queue.Add(cache.ObjectName{Namespace: pod.Namespace, Name: name})
	}
	before, changed := old.(*corev1.Pod)
	if !changed || isTerminated(before) != isTerminated(pod) || before.Spec.NodeName != pod.Spec.NodeName {
		c.resync()
	}
}

func (c *controller) onNode(old, current any) {
	before, changed := old.(*corev1.Node)
	after, ok := current.(*corev1.Node)
	if !changed || !ok || !sameCapacity(before, after) {
		c.resync()
	}
}

// resync updates the reports of waiting gangs after free resources have changed. It
// waits a second, because changes come in bursts and each report is an API write.
func (c *controller) resync() {
	c.waiting.Range(func(key, _ any) bool {
		c.queue.AddAfter(key.(cache.ObjectName), time.Second)
		return true
	})
}

// addHandler calls changed with the old and the new state of an object; the old
// state is nil if the object was created or deleted.
func (c *controller) addHandler(
	informer cache.SharedIndexInformer, changed func(old, current any),
) error {
	handler, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(added any) { changed(nil, added) },
		UpdateFunc: changed,
		DeleteFunc: func(deleted any) {
			if last, ok := deleted.(cache.DeletedFinalStateUnknown); ok {
				deleted = last.Obj
			}
			changed(nil, deleted)
		},
	})
	if err == nil {
		c.handlers = append(c.handlers, handler.HasSynced)
	}
	return err
}
