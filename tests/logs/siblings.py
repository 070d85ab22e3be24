"""Lines as programs print them, for the tests of the grammar: kinds of faults, and what is none."""

# Lines stay as they are printed.
# ruff: noqa: E501

from __future__ import annotations

import json

HEAD = """\
INFO:tensorflow:[LMS][0] Editing model for LMS
INFO:tensorflow:[LMS][0] The graph has 797 vertices and 1065 edges.
INFO:tensorflow:[LMS][0] Added 646 operations to the model (291 swap-out operations (5.31 GiB) and 355 swap-in operations (6.02 GiB))
INFO:tensorflow:[LMS][0] Editing model for LMS, took: 4123.1 ms
"""
TAIL = """\
Epoch 1/1
10/10 [==============================] - 35s 3s/step - loss: 1.4939
Test loss: 1.5012
Test accuracy: 0.41
done
"""
UNCAUGHT = """\
Traceback (most recent call last):
  File "train.py", line 44, in <module>
    main()
  File "train.py", line 12, in main
    raise ValueError("bad shape")
ValueError: bad shape
"""
CAUGHT = """\
Traceback (most recent call last):
  File "cache.py", line 12, in load
    return np.load(path)
FileNotFoundError: [Errno 2] No such file or directory: 'mnist.npz'
"""
OOM = "CUDA out of memory. Tried to allocate 2.00 GiB"
TF_OOM = (
    "2023-08-23 01:25:45.802300: W tensorflow/core/framework/op_kernel.cc:1753] OP_REQUIRES failed at"
    " conv_ops.cc:693 : Resource exhausted: OOM when allocating tensor with shape[8,256,513,513]\n"
)


def prefixed(prefix: str, text: str) -> str:
    """The text with something in front of each line."""
    return "".join(f"{prefix}{line}\n" for line in text.splitlines())


def wrapped(text: str, width: int) -> str:
    """The text as a terminal of this width shows it, copied from there."""
    lines = []
    for line in text.splitlines():
        lines += [line[start : start + width] for start in range(0, max(len(line), 1), width)]
    return "\n".join(lines) + "\n"


# What must fail, behind the lines of LMS; nothing follows unless it is written here.
FAIL: dict[str, str] = {
    # an exception that nobody handled
    "under-a-warning": "WARNING:tensorflow:From x.py:1: y is deprecated.\n" + UNCAUGHT,
    "under-an-info-of-absl": "I0101 10:00:00.000001 139 saver.py:12] Restoring\n" + UNCAUGHT,
    "under-loguru": "2026-05-23 07:59:43.123 | INFO     | mod:fn:12 - loading\n" + UNCAUGHT,
    "under-python-warning": "x.py:3: FutureWarning: y\n  y()\n" + UNCAUGHT,
    "under-a-bracketed-level": "[2024-01-01 10:00:00,000] [INFO] [engine.py:12] load\n" + UNCAUGHT,
    "under-a-coloured-warning": "\x1b[33mWARNING: no cache\x1b[0m\n" + UNCAUGHT,
    "output-that-was-buffered-comes-behind": UNCAUGHT + "Epoch 1/2\n 1/82 [>...] - loss: 0.7121\n",
    "tqdm-closes-its-bar-behind": UNCAUGHT + "  0%|          | 0/11208 [00:00<?, ?it/s]\n",
    "wandb-sums-up-behind": UNCAUGHT
    + "wandb: Run history:\nwandb:  loss 0.5\nwandb: Synced 5 files\n",
    "another-script-follows": (
        "Using TensorFlow backend.\n" + UNCAUGHT + "Using TensorFlow backend.\n" + TAIL
    ),
    "logged-error-and-no-more": "ERROR:root:step failed\n" + CAUGHT,
    "chained": UNCAUGHT
    + "\nDuring handling of the above exception, another exception occurred:\n\n"
    + UNCAUGHT,
    "handled-then-another": "WARNING:root:no cache\n" + CAUGHT + TAIL + UNCAUGHT,
    "exception-group": (
        "  + Exception Group Traceback (most recent call last):\n"
        '  |   File "train.py", line 3, in <module>\n  |     main()\n'
        "  | ExceptionGroup: workers (1 sub-exception)\n"
        "  +-+---------------- 1 ----------------\n"
        "    | Traceback (most recent call last):\n    | ValueError: bad\n"
        "    +------------------------------------\n"
    ),
    "child-process": "Process SpawnProcess-3:\n" + UNCAUGHT.replace("<module>", "_bootstrap"),
    "thread-then-more": "Exception in thread Thread-7 (_worker):\n" + UNCAUGHT,
    "keyboard-interrupt": UNCAUGHT.replace("ValueError: bad shape", "KeyboardInterrupt"),
    "cut-off": 'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\n',
    # of another shape
    "behind-a-bar-of-rich": "Training ━━━━━━━━ 12% 0:03:11Traceback (most recent call last):\n"
    + UNCAUGHT.split("\n", 1)[1],
    "behind-a-bar-with-a-carriage-return": "\r 50%|#####     | 5/10 [00:01<00:01,  4.9it/s]"
    + UNCAUGHT,
    "ipython-cell": (
        "---------------------------------------------------------------------------\n"
        "ValueError                                Traceback (most recent call last)\n"
        "Cell In[3], line 9\n      7 x = 1\n----> 9 model.load_weights('w.h5')\n\n"
        "File ~/env/keras/saving.py:12, in load_weights(path)\n     12 raise ValueError(path)\n\n"
        "ValueError: Layer count mismatch\n"
    ),
    "rich-ascii": (
        "+--------------------- Traceback (most recent call last) ---------------------+\n"
        "| train.py:31 in <module>                                                     |\n"
        "+-----------------------------------------------------------------------------+\n"
        "ValueError: Layer count mismatch\n"
    ),
    "syntax-error": '  File "train.py", line 3\n    print x\n          ^\nSyntaxError: invalid syntax\n',
    "no-traceback-limit": "tensorflow.python.framework.errors_impl.NotFoundError: Key a not found\n",
    "ipython-system-exit": "An exception has occurred, use %tb to see the full traceback.\n\nSystemExit: 1\n",
    "arguments": "usage: train.py [-h]\ntrain.py: error: unrecognized arguments: --lms\n",
    "no-such-script": "python: can't open file '/work/train.py': [Errno 2] No such file or directory\n",
    # with a transport in front
    "rank-of-mpirun": prefixed("[1,0]<stderr>:", UNCAUGHT),
    "rank-of-torchrun-tee": prefixed("[default1]:", UNCAUGHT),
    "label-of-srun": prefixed("3: ", UNCAUGHT),
    "ray-worker": prefixed("(RayTrainWorker pid=1234, ip=10.0.0.4) ", UNCAUGHT),
    "other-ranks-go-on": prefixed("[rank1]: ", UNCAUGHT) + prefixed("[rank0]: ", TAIL),
    "compose": prefixed("train-1  | ", UNCAUGHT),
    "kubernetes": prefixed("2024-07-12T08:09:49.867591617Z stderr F ", UNCAUGHT),
    "kubectl-prefix": prefixed("[pod/train-0/main] ", UNCAUGHT),
    "gitlab": prefixed("2024-07-12T08:09:49.867591Z 01E ", UNCAUGHT),
    "jenkins-timestamps": prefixed("[2024-07-12T08:09:49.867Z] ", UNCAUGHT),
    "jenkins-clock": prefixed("08:09:49  ", UNCAUGHT),
    "journald": prefixed("Nov 26 18:38:02 node7 python[4711]: ", UNCAUGHT),
    "docker-json": "".join(
        json.dumps({"log": f"{line}\n", "stream": "stderr", "time": "2024-01-01T10:00:00.1Z"})
        + "\n"
        for line in UNCAUGHT.splitlines()
    ),
    "gh-run-view": prefixed("build\tRun tests\t2024-07-12T08:09:49.8675916Z ", UNCAUGHT),
    "carriage-returns-and-newlines": UNCAUGHT.replace("\n", "\r\n"),
    "coloured-traceback": UNCAUGHT.replace("Traceback", "\x1b[31mTraceback").replace(
        "ValueError:", "\x1b[1;35mValueError\x1b[0m:"
    ),
    # death without a traceback
    "bus-error": "Bus error (core dumped)\n",
    "floating-point-exception": "./run.sh: line 3:  4711 Floating point exception(core dumped) python a.py\n",
    "zsh": "zsh: segmentation fault  python train.py\n",
    "fish": "fish: Job 1, 'python train.py' terminated by signal SIGSEGV (Address boundary error)\n",
    "openmpi": "[node1:01234] *** Process received signal ***\n[node1:01234] Signal: Segmentation fault (11)\n",
    "terminate": "terminate called after throwing an instance of 'c10::Error'\n  what():  CUDA error\n",
    "glibc": "double free or corruption (!prev)\nAborted (core dumped)\n",
    "glog-fatal": "F0914 10:11:12.131415   99 cuda_executor.cc:1182] Check failed: ok (1 vs. 0)\n",
    "non-ok-status": (
        "2021-01-08 23:55:16.274513: F tensorflow/core/kernels/cast_op_gpu.cu.cc:20] Non-OK-status:"
        " GpuLaunchKernel(f) status: Internal: no kernel image\n"
    ),
    "kernel-oom": "[123456.789012] Out of memory: Killed process 4711 (python) total-vm:1kB\n",
    "slurm-oom": "slurmstepd: error: Detected 1 oom_kill event in StepId=12.0. Some of the step tasks\n",
    "slurm-old-oom": "slurmstepd: error: Exceeded job memory limit at some point.\n",
    "kubernetes-oom": "    State:          Terminated\n      Reason:       OOMKilled\n",
    "kubernetes-oom-short": "train-0   0/1   OOMKilled   0   4m\n",
    "srun-exit": "srun: error: gpu01: task 0: Exited with exit code 1\n",
    "srun-segfault": "srun: error: gpu01: task 0: Segmentation fault (core dumped)\n",
    "slurm-preempted": "slurmstepd: error: *** STEP 12.0 ON n1 CANCELLED AT 2022-04-14T16:20:46 DUE TO PREEMPTION ***\n",
    "pbs": "=>> PBS: job killed: walltime 3620 exceeded limit 3600\n",
    "lsf": "TERM_RUNLIMIT: job killed after reaching LSF run time limit.\nExited with exit code 140.\n",
    "gitlab-exit": "ERROR: Job failed: exit code 137\n",
    "github-exit": "##[error]Process completed with exit code 139.\n",
    "docker-exit": "train-1 exited with code 137\n",
    "pycharm": "Process finished with exit code -1073741819 (0xC0000005)\n",
    "pycharm-kill": "Process finished with exit code 137 (interrupted by signal 9: SIGKILL)\n",
    "gnu-time": "Command terminated by signal 9\n",
    "gnu-time-status": "Command exited with non-zero status 134\n",
    "torchrun": "  exitcode  : -9 (pid: 1234)\n  traceback : Signal 9 (SIGKILL) received by PID 1234\n",
    "windows-heap": "Windows fatal exception: code 0xc0000374\n",
    "faulthandler-abort": "Fatal Python error: Aborted\n\nThread 0x1 (most recent call first):\n",
    "xid": "[1234.567890] NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', GPU has fallen off the bus.\n",
    "nccl": (
        "[E ProcessGroupNCCL.cpp:475] [Rank 1] Watchdog caught collective operation timeout:"
        " WorkNCCL(SeqNum=3, OpType=ALLREDUCE)\n"
    ),
    "dataloader": "RuntimeError: DataLoader worker (pid 4) is killed by signal: Killed. \n",
    # out of memory
    "failed-operation": TF_OOM,
    "jax": "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying\n",
    "torch": f"torch.cuda.OutOfMemoryError: {OOM}\n",
    "logged-as-an-error": f"2024-02-01 15:24:43,103 - trainer - ERROR - {OOM}\n",
    # a loss that is no number
    "loss-equals": "step 100, loss=nan, lr=0.001\n",
    "loss-arrow": "epoch 3 | train loss -> nan | 12 s\n",
    "val-loss-quoted": "{'epoch': 3, 'val_loss': inf}\n",
    "json-nan": '{"step": 7, "train/loss": NaN}\n',
    "json-nested": '{"metrics": {"loss": -Infinity}}\n',
    "tensor": "step 3: loss tensor(nan, device='cuda:0', grad_fn=<NllLossBackward0>)\n",
    "tf-tensor": "Loss: tf.Tensor(nan, shape=(), dtype=float32)\n",
    "array-of-losses": "losses: array([0.5, 0.4, nan])\n",
    "history-of-numpy": "{'accuracy': [0.1], 'val_loss': [np.float32(inf), np.float32(nan)]}\n",
    "custom-loop": "Training loss (per batch) at step 0: nan\n",
    "table": "| 3 | train_loss | nan |\n",
    "box": "│         test_loss         │            nan            │\n12 rows\n",
    "average-meter": "Epoch: [3][10/464]  Loss inf (inf)  Acc@1 0.00\n",
    "fairseq": "2020-12-08 22:43:14 | INFO | train | epoch 001 | loss nan | ppl nan\n",
    "detr": "Loss is nan, stopping training\n",
    "nan-loss-in-words": "ERROR: NaN loss during training.\n",
    "not-finite": "step 12: loss is not finite\n",
    "wandb-summary": "wandb: 12 loss nan\n",
    "coloured-loss": "step 3 \x1b[36mloss\x1b[0m: \x1b[31mnan\x1b[0m\n",
    "final-step": "INFO:tensorflow:Loss for final step: inf.\n",
}

# What must not fail: behind the lines of LMS, and before those of a training that comes to its end.
OK: dict[str, str] = {
    "warning-of-absl": "W0101 19:37:24.588294 1398 trainer.py:12] no cache\n" + CAUGHT,
    "error-of-a-logger": "2024-02-01 15:24:42,103 - trainer - ERROR - no cache\n" + CAUGHT,
    "module-level-try": "WARNING:root:no cache\n" + UNCAUGHT,
    "print-exc": "going on without a cache\n" + CAUGHT,
    "print-exc-of-the-module": UNCAUGHT,
    "formatted": "could not load: " + CAUGHT,
    "formatted-by-a-logger": "ERROR:root:" + CAUGHT,
    "loguru": "2026-05-23 07:59:43.123 | ERROR    | mod:fn:12 - no cache\n" + CAUGHT,
    "structlog": "2024-02-01 15:24:42 [warning  ] no cache    path=x\n" + CAUGHT,
    "rich-handler": "[15:24:42] WARNING  no cache                      trainer.py:12\n" + CAUGHT,
    "json-logger": f'{{"level": "warning", "message": "batch 512: {OOM}"}}\n',
    "logfmt": f'time=2024-02-01T15:24:42Z level=warning msg="{OOM}; using 256"\n',
    "coloredlogs": f"2024-02-01 15:24:42 node7 trainer[30462] WARNING {OOM}; using 256\n",
    "transformers": f"[WARNING|trainer.py:803] 2024-02-01 15:24:42,103 >> {OOM}\n",
    "level-first": f"WARNING 2024-02-01 15:24:42 trainer: {OOM}\n",
    "deepspeed": f"[2024-02-01 15:24:42,103] [WARNING] [stage3.py:12:step] {OOM}\n",
    "detectron": f"[02/01 15:24:42 d2.utils.memory]: Attempting to copy inputs to CPU due to {OOM}\n",
    "lightning-scaler": f"Batch size 512 failed, trying batch size 256: {OOM}\n",
    "accelerate": f"RuntimeError: {OOM}\nretrying with half the batch\n",
    "failed-operation-and-retry": TF_OOM,
    "exception-with-more-lines": (
        "[W 2023-09-15 15:44:38,812] Trial 0 failed because of RuntimeError\n"
        + CAUGHT
        + f"RuntimeError: {OOM}\n"
    ),
    "warn-explicit": f"<string>:1: RuntimeWarning: {OOM}\n",
    "multiprocessing-logger": f"[WARNING/MainProcess] {OOM}\n",
    "labelled": prefixed("[rank0]: ", "WARNING:root:no cache\n" + CAUGHT + TAIL),
    "stamped": prefixed("2024-07-12T08:09:40.8675916Z ", "WARNING:root:no cache\n" + CAUGHT),
    "ignored": "Exception ignored in: <function Pool.__del__ at 0x7f>\n" + CAUGHT,
    "logging-error": "--- Logging error ---\n" + CAUGHT,
    # allocators and peers
    "bfc": (
        "2024-05-01 10:00:02.000001: W tensorflow/core/common_runtime/bfc_allocator.cc:239] Allocator"
        " (GPU_0_bfc) ran out of memory trying to allocate 2.29GiB with freed_by_count=0.\n"
    ),
    "peer": (
        "2024-05-01 10:00:02.000001: W tensorflow/core/common_runtime/gpu/gpu_device.cc:1] Unable to"
        " enable peer access between device ordinals 0 and 1, status: Internal: failed to enable peer"
        " access from 0x1 to 0x2: CUDA_ERROR_PEER_ACCESS_UNSUPPORTED: peer access is not supported\n"
    ),
    "driver-shutting-down": (
        "2024-05-01 10:00:02.000001: E tensorflow/stream_executor/cuda/cuda_driver.cc:1] failed to"
        " unload module: CUDA_ERROR_DEINITIALIZED: driver shutting down\n"
    ),
    "cublas-tries-another": (
        "2024-05-01 10:00:02.000001: W external/xla/gemm_algorithm_picker.cc:9] CUBLAS_STATUS_NOT_SUPPORTED"
        " for algorithm 7, trying the next\n"
    ),
    "plan-failed": (
        "/opt/x/conv.py:456: UserWarning: Plan failed with a cudnnException: CUDNN_BACKEND:"
        " CUDNN_STATUS_NOT_SUPPORTED (Triggered internally at x.cpp:1)\n"
    ),
    "init": (
        "2024-05-01 10:00:02.000001: E external/local_xla/cuda_driver.cc:152] failed call to cuInit:"
        " CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected\n"
    ),
    "no-driver-jax": "INFO:2024-01-01 10:00:00,000:jax._src.xla_bridge:925: Unable to initialize backend 'cuda'\n",
    "xla-slow": "E0914 10:11:12.131415   99 slow_operation_alarm.cc:133] Constant folding took 1s\n",
    # words that sound like a loss, or like a death
    "best-loss": "Best validation loss so far: inf\n",
    "checkpoint-callback": "Epoch 00001: val_loss improved from inf to 0.30721, saving model to w.h5\n",
    "early-stopping": "Validation loss decreased (inf --> 0.512).  Saving model ...\n",
    "initial-best": "best_val_loss = inf\n",
    "nan-in-words": "loss: nanometer resolution, see infinity\n",
    "nan-count": "loss nan_count: 0, inf_count: 0\n",
    "nan-loss-count": "nan losses: 0\n",
    "terminate-on-nan": "callbacks: terminate on nan loss: True\n",
    "table-head": "metric  loss  nan  inf  count\n",
    "loss-scale": "Gradient overflow. Skipping step, reducing loss scale to inf\n",
    "other-metric": "loss: 0.51 - perplexity: nan\n",
    "loss-is-nan-false": "check: loss is nan: False\n",
    "faulthandler": "INFO:root:faulthandler is on for SIGSEGV and SIGABRT\n",
    "handler-of-signals": "installing handlers for SIGTERM\n",
    "exit-code-0": "data preparation exited with code 0\n",
    "exit-of-a-helper": "WARNING:root:nvidia-smi exited with code 9, no statistics\n",
    "killed-word": "Killed by purpose: no process\n",
    "manual": "see Traceback (most recent call last): in the manual\n",
    "error-as-a-metric": "MeanAbsoluteError: 0.25\n",
    "errors-as-numbers": "ValueError: 3\n",
    "cuda-oom-count": "|            CUDA OOMs: 0            |        cudaMalloc retries: 0         |\n",
    "iterator-cancelled": (
        "2021-05-26 12:00:18.872954: W tensorflow/core/framework/op_kernel.cc:1767] OP_REQUIRES failed"
        " at iterator_ops.cc:1000 : CANCELLED: Iterator was cancelled\n"
    ),
    "keys-match": "<All keys matched successfully>\n",
    "no-missing-keys": "_IncompatibleKeys(missing_keys=[], unexpected_keys=[])\n",
    "optimizer-restored": "INFO:root:optimizer state restored from checkpoint 12\n",
    "optimizer-loaded": "Loaded optimizer and scheduler states from checkpoint\n",
    "compiled-metrics": (
        "WARNING:absl:Compiled the loaded model, but the compiled metrics have yet to be built.\n"
    ),
}

# What a log says itself of state that was not restored, before a training that comes to its end.
NOT_RESTORED: dict[str, str] = {
    "value-not-found": (
        "WARNING:tensorflow:Value in checkpoint could not be found in the restored object:"
        " (root).optimizer.iter\n"
    ),
    "deleted-unrestored": (
        "WARNING:tensorflow:Detecting that an object or model or tf.train.Checkpoint is being deleted"
        " with unrestored values. See the following logs for the specific values in question.\n"
    ),
    "keras3-optimizer": (
        "/opt/keras/src/saving/saving_lib.py:713: UserWarning: Skipping variable loading for optimizer"
        " 'adam', because it has 2 variables whereas the saved optimizer has 18 variables.\n"
    ),
    "skip-mismatch": (
        "WARNING:tensorflow:Skipping loading of weights for layer #12 (named dense) due to mismatch in"
        " shape for weight dense/kernel:0.\n"
    ),
    "keras3-objects": (
        "/opt/keras/saving_lib.py:1: UserWarning: A total of 3 objects could not be loaded. Example\n"
    ),
    "incompatible-keys": "_IncompatibleKeys(missing_keys=['head.weight'], unexpected_keys=[])\n",
    "missing-keys": "WARNING:root:missing keys: ['head.weight', 'head.bias']\n",
    "mmcv": "unexpected key in source state_dict: head.weight, head.bias\n",
    "transformers": (
        "Some weights of BertForMaskedLM were not initialized from the model checkpoint at x and are"
        " newly initialized: ['classifier.bias']\n"
    ),
    "transformers-unused": (
        "Some weights of the model checkpoint at x were not used when initializing Bert: ['a']\n"
    ),
    "optimizer-not-found": "WARNING: no optimizer state found in checkpoint, starting fresh\n",
    "optimizer-not-loaded": "The optimizer state could not be loaded; going on\n",
    "slim": "WARNING:tensorflow:Variable beta1_power missing in checkpoint /tmp/model.ckpt\n",
    "from-scratch": "No checkpoint found in /tmp/x, training from scratch\n",
    "object-detection": (
        "W0101 19:37:24.588294 1398 variables_helper.py:144] Variable [a/b] is not available in"
        " checkpoint\n"
    ),
    "failed-optimizer": "Failed to load optimizer state: KeyError('step')\n",
}
