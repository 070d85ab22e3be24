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
    "absl-error-then-death": "E0101 19:37:24.588294 1398 main.py:12] failed\n" + UNCAUGHT,
    "error-executing-job-with-overrides-a": "Error executing job with overrides: ['a=1']\n"
    + UNCAUGHT,
    "elastic": "[2024-01-01 10:00:00,000] torch.distributed.elastic.multiprocessing.api: [ERROR] failed (exitcode: 1) local_rank: 0 (pid: 12) of binary: /usr/bin/python\n",
    "calledprocess": "Traceback (most recent call last):\n  File \"/usr/bin/accelerate\", line 8, in <module>\n    sys.exit(main())\nsubprocess.CalledProcessError: Command '[x]' returned non-zero exit status 1.\n",
    "k8s-describe": "    Last State:     Terminated\n      Reason:       Error\n      Exit Code:    137\n",
    "python-error-while-loading-shared-li": "python: error while loading shared libraries: libcudart.so.10.0: cannot open shared object file: No such file or directory\n",
    "bash-noexec": "/bin/sh: 1: python: not found\n",
    "stdbuf-segv": "[1]    12345 segmentation fault (core dumped)  python train.py\n",
    "aborted-bare": "Aborted\n",
    "killed-sh": "run.sh: line 12: 3421 Killed                  python3 train.py --lms\n",
    "exit-139-circle": "Exited with code exit status 139\n",
    "the-command-python-train-py-exited-w": 'The command "python train.py" exited with 1.\n',
    "error-bash-exited-with-code-137": "##[error]Bash exited with code '137'.\n",
    "error-process-completed-with-exit-co": "Error: Process completed with exit code 1.\n",
    "slurm-cancel": "slurmstepd: error: *** JOB 42221 ON gpu1247 CANCELLED AT 2022-04-14T16:20:46 ***\n",
    "12345-train-gpu-acct-8-out-of-me-0-1": "12345  train  gpu  acct  8  OUT_OF_ME+  0:125\n",
    "exceeds-job-hard-limit-h-vmem-of-que": 'exceeds job hard limit "h_vmem" of queue\n',
    "ray-oom": "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.\n",
    "memoryerror-unable-to-allocate-16-0": "MemoryError: Unable to allocate 16.0 GiB for an array with shape (1, 2)\n",
    "cupy-cuda-memory-outofmemoryerror-ou": "cupy.cuda.memory.OutOfMemoryError: Out of memory allocating 2,147,483,648 bytes\n",
    "loss-tuple": "loss=(nan, nan) step=4\n",
    "loss-eq-quote": "metrics: loss='nan' step 4\n",
    "json-str": '{"loss": "NaN", "step": 4}\n',
    "loss-nan-step-4": "loss: .nan\nstep: 4\n",
    "nan-upper": "Iter 100 Loss NAN\n",
    "loss1-nan-loss2-0-5": "loss1: nan loss2: 0.5\n",
    "epoch-1-200-batch-0-938-d-loss-nan-g": "[Epoch 1/200] [Batch 0/938] [D loss: nan] [G loss: 0.70]\n",
    "epoch-3-avg-train-loss-nan-avg-val-l": "Epoch 3 - avg_train_loss: nan  avg_val_loss: 0.5  time: 3s\n",
    "epoch-1-100-10-10-00-01-00-00-9-9it": "Epoch 1: 100%|##########| 10/10 [00:01<00:00,  9.9it/s, loss=nan, v_num=3]\n",
    "epoch-1-50-5-10-00-01-00-01-4-9it-s": "Epoch 1:  50%|#####     | 5/10 [00:01<00:01, 4.9it/s, v_num=0, train_loss=inf]\n",
    "loss-nan-grad-norm-nan-learning-rate": "{'loss': nan, 'grad_norm': nan, 'learning_rate': 5e-05, 'epoch': 0.1}\n",
    "train-runtime-12-3-train-loss-nan-ep": "{'train_runtime': 12.3, 'train_loss': nan, 'epoch': 1.0}\n",
    "0-train-logloss-nan-val-logloss-0-5": "[0]\ttrain-logloss:nan\tval-logloss:0.5\n",
    "step-1000-loss-1-ind": "Step 1000, loss = -1.#IND\n",
    "error-tensorflow-nan-loss-during-tra": "ERROR:tensorflow:NaN loss during training.\n",
    "checknum": "tensorflow.python.framework.errors_impl.InvalidArgumentError: LossTensor is inf or nan. : Tensor had NaN values\n",
    "best-loss-nan-in-dict": "{'best_epoch': 3, 'loss': nan}\n",
    "improve-nan": "Epoch 00001: val_loss did not improve from inf\nval_loss: nan\n",
    "info-root-loss-nan": "INFO:root:Loss: nan\n",
    "segv-thread": 'Fatal Python error: Segmentation fault\n\nThread 0x00007f (most recent call first):\n  File "a.py", line 3 in x\n',
    "python-malloc-c-2379-sysmalloc-asser": "python: malloc.c:2379: sysmalloc: Assertion `(old_top == initial_top (av))' failed.\nAborted (core dumped)\n",
    "runtimeerror-nccl-error-in-torch-csr": "RuntimeError: NCCL error in: ../torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp:1269, internal error, NCCL version 2.14.3\n",
    "xla-abort": "2024-01-01 10:00:00.000000: F external/local_xla/xla/service/gpu/x.cc:12] ptxas exited with non-zero error code 65280\n",
    "cudadriver": "2020-01-01 10:00:00.000000: E tensorflow/stream_executor/cuda/cuda_event.cc:29] Error polling for event status: failed to query event: CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure\n2020-01-01 10:00:00.000000: F tensorflow/core/common_runtime/gpu/gpu_event_mgr.cc:273] Unexpected Event status: 1\n",
    "headerless-tail": '  File "train.py", line 44, in <module>\n    main()\n  File "train.py", line 12, in main\n    raise ValueError("bad shape")\nValueError: bad shape\n',
    "custom-exc": 'Traceback (most recent call last):\n  File "t.py", line 1, in <module>\n    x()\nmypkg.errors.Stop\n',
    "exc-no-newline": 'Traceback (most recent call last):\n  File "train.py", line 44, in <module>\n    main()\n  File "train.py", line 12, in main\n    raise ValueError("bad shape")\nValueError: bad shape',
    "tb-in-warning-pos": "/x/y.py:12: UserWarning: z\n  warnings.warn(z)\n" + UNCAUGHT,
    "rich-handler-uncaught": "[12:00:00] INFO     loading            train.py:3\n╭─────── Traceback (most recent call last) ───────╮\n│ train.py:31 in <module>  │\n╰───────╯\nValueError: x\n",
    "ipython-colab": "---------------------------------------------------------------------------\n\nOutOfMemoryError                          Traceback (most recent call last)\n\n/tmp/ipykernel_1/123.py in <cell line: 1>()\n----> 1 train()\n\nOutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\n",
    "papermill": 'papermill.exceptions.PapermillExecutionError: \n---------\nException encountered at "In [3]":\n',
    "sigsegv-0xb-at-pc-0x00007f-pid-1-tid": "#  SIGSEGV (0xb) at pc=0x00007f, pid=1, tid=2\n",
    "watchdog": "soft lockup: watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [python:123]\nKilled\n",
    "rank-then-done-other": '[1,1]<stderr>:Traceback (most recent call last):\n[1,1]<stderr>:  File "train.py", line 44, in <module>\n[1,1]<stderr>:    main()\n[1,1]<stderr>:  File "train.py", line 12, in main\n[1,1]<stderr>:    raise ValueError("bad shape")\n[1,1]<stderr>:ValueError: bad shape\n[1,0]<stdout>:Epoch 1/1\n[1,0]<stdout>:10/10 [==============================] - 35s 3s/step - loss: 1.4939\n[1,0]<stdout>:Test loss: 1.5012\n[1,0]<stdout>:Test accuracy: 0.41\n[1,0]<stdout>:done\n',
    "truncated-mid-tb": 'Traceback (most recent call last):\n  File "t.py", line 1, in <module>\n    x()\n',
    "oserror-unable-to-open-file-truncate": "OSError: Unable to open file (truncated file: eof = 96, sblock->base_addr = 0)\n",
    "fastai-table": "epoch     train_loss  valid_loss  accuracy  time\n0         0.5         nan         0.098     00:05\n",
    "csv": "epoch,loss,val_loss\n0,0.5,0.6\n1,nan,nan\n",
    "pandas": "   epoch      loss\n0      0  0.500000\n1      1       NaN\n",
    "pipes": "| epoch | loss | acc |\n|-------|------|-----|\n| 1     | inf  | 0.1 |\n",
    "killed-behind-a-bar": " 20%|##        | 10/50 [1:44:58<7:00:04, 630.10s/it]Killed\n",
    "killed-behind-a-bar-of-keras": "57344/57600 [============================>.] - ETA: 0s - loss: 0.0421Killed\n",
    "terminated-behind-a-bar": " 20%|##        | 10/50 [1:44:58<7:00:04, 630.10s/it]Terminated\n",
    "zsh-killed": "zsh: killed     python train.py\n",
    "job-control": "[1]+  Killed                  python train.py\n",
    "job-control-zsh": "[1]    12345 killed     python train.py\n",
    "notebook-kernel": "The kernel appears to have died. It will restart automatically.\n",
    "colab": "Your session crashed after using all available RAM.\n",
    "mpi-abort": "MPI_ABORT was invoked on rank 0 in communicator MPI_COMM_WORLD\n",
    "rust": "thread '<unnamed>' panicked at 'index out of bounds', src/lib.rs:12:5\n",
    "sacct-timeout": "42221        train        gpu       acct          8    TIMEOUT      0:0\n",
    "sacct-failed": "42221        train        gpu       acct          8     FAILED      1:0\n",
    "gitlab-too-long": "ERROR: Job failed: execution took longer than 1h0m0s seconds\n",
    "jenkins-step": "Build step 'Execute shell' marked build as failure\n",
    "github-cancelled": "##[error]The operation was canceled.\n",
    "minibatch-loss": "Minibatch loss at step 0: nan\n",
    "cost": "Cost after iteration 100: nan\n",
    "crossentropy": " 1/82 [....] - sparse_categorical_crossentropy: nan\n",
    "loss-after-epoch": "Loss after epoch 1: nan\n",
    "print-without-newline": 'Loading model... Traceback (most recent call last):\n  File "train.py", line 44, in <module>\n    main()\nValueError: bad shape\n',
    "jenkins-timeout": "Build timed out (after 60 minutes). Marking the build as aborted.\n",
    "jenkins-nested": "Cancelling nested steps due to timeout\n",
    "azure-timeout": "##[error]The job running on agent x has exceeded the maximum execution time of 60 minutes.\n",
    "lsf-memory": "TERM_MEMLIMIT: job killed after reaching LSF memory usage limit.\n",
    "openmpi-signal": "mpirun noticed that process rank 0 with PID 0 on node n1 exited on signal 11 (Segmentation fault).\n",
    "mpich": "=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES\n",
    "child-failed": "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:\n",
    "evicted": "  Reason:         Evicted\n",
    "heap": "malloc(): corrupted top size\nAborted (core dumped)\n",
    "stack-smashing": "*** stack smashing detected ***: terminated\n",
    "trap": "[1234.5] traps: python[123] general protection fault ip:7f sp:7f error:0 in libc.so\n",
    "segfault-of-the-kernel": "[1234.567890] python[123]: segfault at 0 ip 00007f sp 00007f error 4 in libtensorflow.so\n",
    "corrupted-list": "corrupted double-linked list\n",
    "windows-code": "The program exited with code 0xC0000005\n",
    "hip": "RuntimeError: HIP error: invalid device function\n",
    "ecc": "CUDA error: uncorrectable ECC error encountered\n",
    "cudnn-start": "Could not create cudnn handle: CUDNN_STATUS_INTERNAL_ERROR\n",
    "dst-tensor": "InternalError: Dst tensor is not initialized.\n",
    "errno-12": "OSError: [Errno 12] Cannot allocate memory\n",
    "logged-as-failed": "ERROR:__main__:training failed: ValueError('bad')\n",
    "check-of-absl": "F0000 00:00:1712345678.123456    4711 tensor_shape.cc:356] Check failed: 0 <= new_num_elements (0 vs. -1)\n",
    "malloc-consolidate": "malloc_consolidate(): invalid chunk size\n",
    "kernel-invoked": "[Mon Mar  4 10:11:12 2024] python invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n",
    "oom-reaper": "Mar  4 10:11:12 node7 kernel: oom_reaper: reaped process 4711 (python), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB\n",
    "systemd-oom": "Mar 04 10:11:12 node7 systemd[1]: train.service: A process of this unit has been killed by the OOM killer.\n",
    "systemd-segv": "Mar 04 10:11:12 node7 systemd[1]: train.service: Main process exited, code=dumped, status=11/SEGV\n",
    "systemd-exit": "Mar 04 10:11:12 node7 systemd[1]: train.service: Main process exited, code=exited, status=1/FAILURE\n",
    "systemd-oomd": "Mar 04 10:11:12 node7 systemd-oomd[811]: Killed /user.slice/user-1000.slice/session-3.scope due to memory pressure for /user.slice being 60.1% > 50.00% for > 20s with reclaim activity\n",
    "systemd-timeout": "Mar 04 10:11:12 node7 systemd[1]: train.service: Service reached runtime time limit. Stopping.\n",
    "k8s-yaml": "    lastState:\n      terminated:\n        containerID: containerd://x\n        exitCode: 137\n        reason: OOMKilled\n",
    "k8s-event-evict": "Warning  Evicted  2m  kubelet  The node was low on resource: memory. Threshold quantity: 100Mi, available: 9Mi. Container main was using 31Gi, request is 0, has larger consumption of memory.\n",
    "k8s-backoff": "Warning  BackOff  3s (x5 over 1m)  kubelet  Back-off restarting failed container main in pod train-0_default\n",
    "k8s-job-deadline": "Warning  DeadlineExceeded  10s  job-controller  Job was active longer than specified deadline\n",
    "k8s-backofflimit": "  Warning  BackoffLimitExceeded  2m  job-controller  Job has reached the specified backoff limit\n",
    "docker-inspect-oom": '        "State": {"Status": "exited", "Running": false, "OOMKilled": true, "ExitCode": 137}\n',
    "docker-ps-exited": '3f2a1b  tflms:2.1  "python train.py"  5 minutes ago  Exited (137) 2 minutes ago  train\n',
    "docker-events-oom": "2024-03-04T10:11:12.000000000Z container oom 3f2a1b (image=tflms:2.1, name=train)\n",
    "slurm-force-terminated": "srun: error: node7: task 1: Terminated\n",
    "sacct-pipe": "4711|train|gpu|acct|8|TIMEOUT|0:0\n",
    "lsf-owner": "TERM_OWNER: job killed by owner.\n",
    "pbs-exit-status": "Exit_status=271\nresources_used.walltime=01:00:12\n",
    "gha-runner-lost": "##[error]The self-hosted runner: gpu-1 lost communication with the server. Verify the machine is running and has a healthy network connection.\n",
    "gha-shutdown": "##[error]The runner has received a shutdown signal. This can happen when the runner service is stopped, or a manually started runner is canceled.\n",
    "gitlab-system-failure": 'ERROR: Job failed (system failure): pods "runner-x" not found\n',
    "faulthandler-timeout": 'Timeout (0:10:00)!\nThread 0x00007f (most recent call first):\n  File "train.py", line 3 in f\n',
    "earlyoom": 'sending SIGTERM to process 4711 uid 1000 "python": badness 912, VmRSS 30123 MiB\n',
    "ray-oom-raylet": "(raylet) [2024-03-04 10:11:12,123 E 811 811] (raylet) node_manager.cc:3007: 1 Workers (tasks / actors) killed due to memory pressure (OOM), 0 Workers crashed due to other reasons at node (ID: x, IP: 10.0.0.4) over the last time period.\n",
    "timeout-cmd": "timeout: sending signal TERM to command 'python'\n",
    "timeout-cmd-dumped": "timeout: the monitored command dumped core\n",
    "make": "make: *** [Makefile:12: train] Error 137\n",
    "signal-as-go-says-it": "INFO:    Cleaning up image...\nFATAL:   container exited: signal: killed\n",
    "assert-of-c": "python: ../nptl/pthread_mutex_lock.c:81: __pthread_mutex_lock: Assertion `mutex->__data.__owner == 0' failed.\n",
    "condor": "005 (4711.000.000) 03/04 10:11:12 Job terminated.\n\t(0) Abnormal termination (signal 9)\n",
    "vscode-kernel": "The Kernel crashed while executing code in the current cell or a previous cell.\n",
    "received-sigterm-lightning": "[rank: 0] Received SIGTERM: 15\n",
    "glibc-free-only": "free(): double free detected in tcache 2\n",
    "openmp-abort": "OMP: Error #15: Initializing libiomp5.so, but found libiomp5.so already initialized.\nOMP: Hint This means that multiple copies of the OpenMP runtime have been linked into the program.\n",
    "kubectl-get-pods": "train-0   0/1     Error               0          4m\n",
    "csv-quoted": 'epoch,"train_loss","val_loss"\n1,0.5,0.6\n2,nan,nan\n',
    "csv-semicolon": "epoch;loss;val_loss\n1;0.5;0.6\n2;nan;nan\n",
    "csv-upper": "Epoch,Train Loss,Val Loss\n1,0.5,0.6\n2,NaN,NaN\n",
    "yolo-table": "      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size\n      1/100      4.62G        nan        nan        nan         12        640: 100%|██████████| 10/10 [00:01<00:00]\n",
    "wandb-summary-2": "wandb: Run summary:\nwandb:       epoch 3\nwandb:  train/loss nan\nwandb:    val/loss NaN\n",
    "typer-rich-error": "╭─ Error ──────────────────────────────────────────────────────────────────────╮\n│ No such option: --lms                                                        │\n╰──────────────────────────────────────────────────────────────────────────────╯\n",
    "pytest-style": "============================== 1 failed in 3.21s ===============================\n",
    "nb-json": '{"output_type": "error", "ename": "ValueError", "evalue": "bad"}\n',
    "nb-json-pretty": '     "output_type": "error",\n',
    "lightning-interrupt-exit": "\nDetected KeyboardInterrupt, attempting graceful shutdown ...\n",
    "cloud-logging-json": '{"textPayload": "Traceback (most recent call last):", "severity": "ERROR", "timestamp": "x"}\n{"textPayload": "  File \\"train.py\\", line 44, in <module>", "severity": "ERROR", "timestamp": "x"}\n{"textPayload": "    main()", "severity": "ERROR", "timestamp": "x"}\n{"textPayload": "  File \\"train.py\\", line 12, in main", "severity": "ERROR", "timestamp": "x"}\n{"textPayload": "    raise ValueError(\\"bad shape\\")", "severity": "ERROR", "timestamp": "x"}\n{"textPayload": "ValueError: bad shape", "severity": "ERROR", "timestamp": "x"}\n',
    "journal-json": '{"MESSAGE": "Traceback (most recent call last):", "PRIORITY": "6"}\n{"MESSAGE": "  File \\"train.py\\", line 44, in <module>", "PRIORITY": "6"}\n{"MESSAGE": "    main()", "PRIORITY": "6"}\n{"MESSAGE": "  File \\"train.py\\", line 12, in main", "PRIORITY": "6"}\n{"MESSAGE": "    raise ValueError(\\"bad shape\\")", "PRIORITY": "6"}\n{"MESSAGE": "ValueError: bad shape", "PRIORITY": "6"}\n',
    "k8s-pod-status": "status:\n  phase: Failed\n  reason: Evicted\n",
    "slurm-epilog": "slurmstepd: error: *** STEP 4711.0 ON node7 FAILED (non-zero exit code or other failure mode) ***\n",
    "bsub-exit": "Exited with signal termination: 9.\n",
    "deepspeed-launcher": "[2024-01-01 10:00:00,000] [ERROR] [launch.py:321:sigkill_handler] ['/opt/env/bin/python', '-u', 'train.py'] exits with return code = -9\n",
    "return-code": "train.py exited with return code 1\n",
    "ld-symbol": "python: symbol lookup error: /opt/lib.so: undefined symbol: x\n",
    "nccl-timeout-dsp": "[rank0]:[E1107 10:11:12.1 ProcessGroupNCCL.cpp:670] [Rank 0] Some NCCL operations have failed or timed out. Due to the asynchronous nature of CUDA kernels, subsequent GPU operations might run on corrupted/incomplete data.\n[rank0]:[E1107 10:11:12.1 ProcessGroupNCCL.cpp:676] [Rank 0] To avoid data inconsistency, we are taking the entire process down.\n",
    "heartbeat": "[rank0]:[F1107 10:11:12.1 ProcessGroupNCCL.cpp:1432] [PG 0 Rank 0] Terminating the process after attempting to dump debug info, due to ProcessGroupNCCL watchdog hang.\n",
    "bitbucket-timeout": "Exceeded step timeout of 120 minutes\n",
    "travis": "The build has been terminated\n",
    "kaggle": "Notebook Exceeded Memory: Your notebook tried to allocate more memory than is available. It has restarted.\n",
    "spark": 'Exception in thread "main" org.apache.spark.SparkException: Job aborted due to stage failure\n',
    "cross-entropy-with-a-hyphen": "INFO:root:Epoch[3] Batch [20]\tSpeed: 1234.5 samples/sec\tcross-entropy=nan\n",
    "table-of-markdown": "|   epoch |   train loss |   val loss |\n|--------:|-------------:|-----------:|\n|       1 |          nan |        nan |\n",
    "rich-table": "┏━━━━━━━┳━━━━━━━┓\n┃ epoch ┃  loss ┃\n┡━━━━━━━╇━━━━━━━┩\n│     1 │   nan │\n└───────┴───────┘\n",
    "table-of-a-notebook": "Step\tTraining Loss\tValidation Loss\n10\t0.5\tnan\n",
    "floating-point-error": "FloatingPointError: invalid value (nan) encountered in jit(step)\n",
    "lsf-signal": "Exited by signal 9.\n",
    "glog-stack": "*** Check failure stack trace: ***\n",
    "unittest": "FAILED (errors=1)\n",
    "systemd-result": "Nov 26 18:38:02 node7 systemd[1]: train.service: Failed with result 'core-dump'.\n",
    "yarn": "24/05/08 11:16:20 ERROR YarnScheduler: Lost executor 1: Container killed by YARN for exceeding memory limits.\n",
    "srun-terminated-step": "srun: Force Terminated StepId=4711.0\n",
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
    "fairseq-old": "| WARNING: ran out of memory, retrying batch\n",
    "tqdm-write": "\r 10%|#         | 1/10 [00:01<00:09,  1.0s/it]WARNING:root:no cache\n" + CAUGHT,
    "tf-error": "ERROR:tensorflow:Could not read cache\n" + CAUGHT,
    "lr-finder": "LR finder: loss diverged, stopping search early\n",
    "gradient-overflow-skipping-step-loss": "Gradient overflow.  Skipping step, loss scaler 0 reducing loss scale to 32768.0\n",
    "inf-best": "best loss: inf\n",
    "initializing-best-loss-to-inf": "Initializing best_loss to inf\n",
    "self-best-loss-inf-patience-3": "self.best_loss=inf, patience=3\n",
    "val-loss-improved-inf-0-3": "val_loss improved (inf --> 0.3)\n",
    "info-min-val-loss-infinity": "[INFO] min_val_loss = Infinity\n",
    "metric-val-loss-improved-new-best-sc": "Metric val_loss improved. New best score: 0.3 (was inf)\n",
    "earlystopping-monitor-val-loss-min-d": "EarlyStopping(monitor='val_loss', min_delta=0, best=inf)\n",
    "nan-loss-steps-0": "nan_loss_steps: 0\n",
    "loss-nan-false": "loss_nan=False\n",
    "number-of-nan-losses-0": "Number of NaN losses: 0\n",
    "no-nan-loss-detected": "no nan loss detected\n",
    "checking-for-nan-in-loss-ok": "checking for nan in loss: ok\n",
    "grad-norm-nan-loss-0-3": "grad_norm: nan, loss: 0.3\n",
    "loss-0-3-grad-norm-inf": "loss: 0.3, grad_norm: inf\n",
    "loss-function-info-nce": "loss function: info_nce\n",
    "loss-0-30-lr-nan": "loss=0.30 lr=nan\n",
    "loss-landscape-infinite-width-limit": "Loss landscape: infinite width limit\n",
    "loss-weights-1-inf": "loss weights: [1, inf]\n",
    "2020-01-01-10-00-00-000001-i-tensorf": "2020-01-01 10:00:00.000001: I tensorflow/core/common_runtime/executor.cc:1197] [/device:CPU:0] (DEBUG INFO) Executor start aborting (this does not indicate an error and you can ignore this message): INVALID_ARGUMENT: You must feed a value\n",
    "2020-01-01-10-00-00-000001-w-tensorf": "2020-01-01 10:00:00.000001: W tensorflow/core/kernels/data/cache_dataset_ops.cc:856] The calling iterator did not fully read the dataset being cached\n",
    "cudnn-ver": "2020-01-01 10:00:00.000001: I tensorflow/stream_executor/cuda/cuda_dnn.cc:366] Loaded cuDNN version 8401\n",
    "gpu-alloc": "2020-01-01 10:00:00.000001: W tensorflow/core/common_runtime/bfc_allocator.cc:290] Allocator (GPU_0_bfc) ran out of memory trying to allocate 2.29GiB with freed_by_count=0. The caller indicates that this is not a failure, but this may mean that there could be performance gains if more memory were available.\n",
    "xla-autotune": "W0914 10:11:12.131415   99 gemm_fusion_autotuner.cc:990] Compiling 12 configs failed: RESOURCE_EXHAUSTED: shared memory; falling back\n",
    "jax-cpu": "WARNING:absl:No GPU/TPU found, falling back to CPU.\n",
    "jax-tpu": "INFO:2024-01-01 10:00:00,000:jax._src.xla_bridge:689: Unable to initialize backend 'tpu': INTERNAL: Failed to open libtpu.so: libtpu.so: cannot open shared object file\n",
    "nccl-warn": "node1:123:456 [0] NCCL WARN Failed to open libibverbs.so[.1]\n",
    "nccl-info": "node1:123:456 [0] NCCL INFO NET/Plugin: No plugin found (libnccl-net.so)\n",
    "1234-567890-nvrm-xid-pci-0000-3b-00": "[1234.567890] NVRM: Xid (PCI:0000:3b:00): 63, Row Remapper: New row marked for remapping\n",
    "connectionerror-httpsconnectionpool": "ConnectionError: HTTPSConnectionPool(host='x'): Max retries exceeded; retrying in 1 s\n",
    "keyboard": "(press Ctrl-C to raise KeyboardInterrupt)\n",
    "catched-print": "Error: could not open cache.npz, rebuilding it\n",
    "exit-info": "INFO:root:worker 3 exited with code 0\n",
    "autobatch": "INFO: batch size 512 failed with CUDA out of memory, trying 256\n",
    "autobatch2": "batch_size=512: OOM\nbatch_size=256: ok\n",
    "py-warn-oom": "/x/torch/cuda/memory.py:12: UserWarning: CUDA out of memory; expandable segments help\n",
    "note-if-you-see-cuda-out-of-memory-l": "Note: if you see 'CUDA out of memory', lower the batch size.\n",
    "if-you-get-resourceexhaustederror-lo": "If you get ResourceExhaustedError: lower the batch\n",
    "ckpt-reset": "optimizer: Adam(lr=0.001), loading rate 0\n",
    "resume-ok": "Resuming from checkpoint 12, optimizer and scheduler restored\n",
    "train-scratch-arg": "args: {'from_scratch': False, 'resume': True}\n",
    "unexpected-keys-missing-keys": "unexpected_keys: []\nmissing_keys: []\n",
    "all-the-weights-of-bertformaskedlm-w": "All the weights of BertForMaskedLM were initialized from the model checkpoint at x.\n",
    "tf-expect": "Restored from ./ckpt-3 (optimizer slots included)\n",
    "sigterm-talk": "signal handler for SIGTERM registered\n",
    "peak-memory-3-2-gib-out-of-memory-ev": "Peak memory: 3.2 GiB; out of memory events: 0\n",
    "oom-kill-0": "oom_kill 0\n",
    "2020-01-01-10-00-00-000001-e-tensorf": "2020-01-01 10:00:00.000001: E tensorflow/core/profiler/internal/gpu/cupti_tracer.cc:1666] function cupti_interface_->Subscribe( &subscriber_, (CUpti_CallbackFunc)ApiCallback, this)failed with error CUPTI could not be loaded or symbol could not be found.\n",
    "caught-chain": "WARNING:root:fallback\n"
    + CAUGHT
    + "\nDuring handling of the above exception, another exception occurred:\n\n"
    + CAUGHT,
    "thread-warn": "WARNING:root:exception in prefetch thread, restarted\nTraceback (most recent call last):\n  File \"cache.py\", line 12, in worker\n    return np.load(path)\nFileNotFoundError: [Errno 2] No such file or directory: 'mnist.npz'\n",
    "click-color": "\x1b[93m[WARN]\x1b[0m no cache\n" + CAUGHT,
    "lvl-lower": "2024-01-01T10:00:00 warning trainer: CUDA out of memory. Tried to allocate 2.00 GiB\n",
    "syslog-lvl": "<4>2024-01-01 10:00:00 WARNING CUDA out of memory. Tried to allocate 2.00 GiB\n",
    "lvl-warn": "WARN: CUDA out of memory. Tried to allocate 2.00 GiB; halving the batch\n",
    "warning-cuda-out-of-memory-tried-to": "⚠️  Warning: CUDA out of memory. Tried to allocate 2.00 GiB\n",
    "wandb-warn": "wandb: WARNING CUDA out of memory. Tried to allocate 2.00 GiB in media upload\n",
    "2024-02-01-15-24-42-mmengine-warning": "2024/02/01 15:24:42 - mmengine - WARNING - CUDA out of memory. Tried to allocate 2.00 GiB\n",
    "hydra-log": "[2024-02-01 15:24:42,103][trainer][WARNING] - CUDA out of memory. Tried to allocate 2.00 GiB\n",
    "lightning": "GPU available: True (cuda), used: True\n`Trainer.fit` stopped: `max_epochs=1` reached.\n",
    "keras-tail-json": '{"event": "epoch", "loss": 0.3, "nan": null, "inf": 0}\n',
    "loss-acc-0-0-30-nan": "       loss   acc\n0      0.30   NaN\n",
    "csv-of-others": "epoch,loss,lr\n0,0.5,nan\n",
    "fastai-before-the-first": "epoch  best_loss  acc\n0  inf  0.1\n",
    "sentence-and-a-row": "reducing the loss scale\n1 nan 2\n",
    "docker-inspect": '"OOMKilled": false, "ExitCode": 0\n',
    "no-kill": "oom_kill_disable 0\nunder_oom 0\n",
    "best-cost": "best cost: inf\n",
    "latency": "cost model: infinite bandwidth\n",
    "killed-requests": "requests killed: 0\n",
    "retry-of-a-download": "ConnectionError: timed out, trying another mirror\n",
    "aborted-flow": "0 transfers aborted\n",
    "terminated-words": "worker pool terminated normally\n",
    "args-dump": "Namespace(lr=0.001, loss='mse', max_loss=inf, clip=inf, min_val_loss=inf)\n",
    "min-loss-table": "self.best = inf  # loss\nloss_best: inf\n",
    "ray-trial": "2024-05-08 11:16:20,591\tERROR tune_controller.py:1331 -- Trial task failed for trial train_1\nTraceback (most recent call last):\n  File \"cache.py\", line 12, in load\n    return np.load(path)\nray.exceptions.RayTaskError(FileNotFoundError): [Errno 2] No such file or directory: 'mnist.npz'\n",
    "atexit-after-done": "Error in atexit._run_exitfuncs:\n" + CAUGHT,
    "rich-multi": "[05/08/24 11:16:20] ERROR    cache unreadable                        cache.py:44\n                    ╭─────── Traceback (most recent call last) ────────╮                \n                    │ /work/cache.py:44 in load                        │                \n                    ╰──────────────────────────────────────────────────╯                \n                    FileNotFoundError: [Errno 2] No such file                           \n",
    "a-step-is-no-label": "[step 3]: CUDA out of memory. Tried to allocate 2.00 GiB, skipped\n[step 4]: loss 0.5\n",
    "exception-of-a-function": 'skip:\nTraceback (most recent call last):\n  File "c.py", line 1, in load\n    x\n__main__.f.<locals>.MyError: bad\n',
    "exception-that-cannot-be-printed": 'skip:\nTraceback (most recent call last):\n  File "c.py", line 1, in load\n    x\n<unprintable Foo object>\n',
    "exc-group-caught": 'WARNING:root:some uploads failed\n  + Exception Group Traceback (most recent call last):\n  |   File "c.py", line 1, in upload\n  |     x\n  | ExceptionGroup: unhandled errors (1 sub-exception)\n  +-+---------------- 1 ----------------\n    | Traceback (most recent call last):\n    |   File "c.py", line 11, in load\n    |     raise OSError("x")\n    | OSError: x\n    +------------------------------------\n',
    "rich-panel-locals": "[15:24:42] ERROR    no cache                                   cache.py:44\n         ╭──── Traceback (most recent call last) ─────╮            \n         │ /work/cache.py:44 in load                  │            \n         │ ╭──── locals ────╮                         │            \n         │ │ x = 3          │                         │            \n         │ ╰────────────────╯                         │            \n         ╰────────────────────────────────────────────╯            \n         OSError: x                                                \n",
    "process-killed-by-ray-is-tried-again": "(raylet) [2024-03-04 10:11:12,123 E 811 811] (raylet) node_manager.cc:3007: 1 Workers (tasks / actors) killed due to memory pressure (OOM)\n",
    "first-attempt": "ERROR:root:training failed on the first attempt, retrying\n",
    "image-is-pulled-again": "  Warning  BackOff  2m  kubelet  Back-off pulling image x\n",
    "kubernetes-event": "  Warning  FailedScheduling  2m  default-scheduler  0/5 nodes are available\n",
    "docker-inspect-as-json": '        "State": {\n            "OOMKilled": false,\n            "ExitCode": 0,\n',
    "systemd-success": "Nov 26 18:38:02 node7 systemd[1]: x.service: Main process exited, code=exited, status=0/SUCCESS\n",
    "exited-0": "Exit_status=0\nexit_code: 0\nExited (0) 2 minutes ago\n",
    "error-as-a-column": "5/10 batches, ReconError 3\n10/10 Error 0.12\n",
    "functions-of-malloc": "profile: free() took 3 ms, malloc() 4 ms\n",
    "memory-pressure": "INFO:root:cache dropped due to memory pressure\n",
    "optimizer-step-skipped": "optimizer step skipped: inf in gradients\n",
    "without-weight-decay": "optimizer AdamW without weight decay; checkpoint: optimizer saved\n",
    "no-checkpoint-yet": "2020-12-08 22:43:14 | INFO | fairseq.trainer | No existing checkpoint found x/checkpoint_last.pt\n",
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
    "keras-none": "WARNING:tensorflow:Error in loading the saved optimizer state. As a result, your model is starting with a freshly initialized optimizer.\n",
    "warning-tensorflow-inconsistent-refe": "WARNING:tensorflow:Inconsistent references when loading the checkpoint into this object graph. For example, in the saved checkpoint object, `model.layer.weight` and `model.layer_copy.weight` reference the same variable, while in the current object these are two different variables.\n",
    "x-y-py-3-userwarning-could-not-resto": "/x/y.py:3: UserWarning: could not restore optimizer state: ValueError\n",
    "hf-resize": "Some weights of X were not initialized from the model checkpoint at y and are newly initialized because the shapes did not match:\n",
    "warning-unable-to-load-optimizer-sta": "[WARNING] Unable to load optimizer states from checkpoint, only module weights are loaded\n",
    "optimizer-state-reset-parameter-grou": "optimizer state reset: parameter groups differ\n",
    "warning-root-optimizer-state-is-not": "WARNING:root:Optimizer state is not restored (different number of parameter groups)\n",
    "load-state-dict-strict-false-missing": "load_state_dict(strict=False): missing keys: head.bias\n",
    "warning-absl-missing-keys-in-checkpo": "WARNING:absl:Missing keys in checkpoint: opt_state/0/mu\n",
    "by-name": "WARNING:tensorflow:Skipping loading of weights for layer dense_1 due to mismatch in number of weights (1 vs 0).\n",
    "keras3-layer": "/x/saving_lib.py:713: UserWarning: Skipping loading weights for layer <Dense name=d> (variables: []).\n",
    "tf-saver": "W0101 10:00:00.000000 1 x.py:3] Key dense/kernel/Adam not found in checkpoint\n",
    "warning-optimizer-state-not-loaded-r": "| WARNING: optimizer state not loaded, resetting\n",
    "no-ckpt": "WARNING:root:no checkpoint found at /tmp/x; starting from scratch\n",
    "hf-optimizer-missing": "Didn't find an optimizer checkpoint, starting with a fresh optimizer\n",
    "lightning-weights-only": "/opt/env/lib/python3.10/site-packages/pytorch_lightning/trainer/connectors/checkpoint_connector.py:348: Trying to restore optimizer state but checkpoint contains only the model. This is probably due to `ModelCheckpoint.save_weights_only` being set to `True`.\n",
    "lightning-callbacks": "WARNING: optimizer states in the checkpoint were ignored\n",
    "orbax-partial": "WARNING:absl:The following keys are not loaded from the original tree after applying specified transforms: opt_state.0.mu, opt_state.0.nu\n",
    "fairseq-reset": "2020-12-08 22:43:14 | INFO | fairseq.checkpoint_utils | Loaded checkpoint x.pt (epoch 3 @ 100 updates) without optimizer state\n",
    "yolo-transferred": "optimizer: checkpoint's optimizer ignored, its parameter groups differ\n",
    "keras-h5-topology": "WARNING:tensorflow:No training configuration found in the save file, so the model was *not* compiled. Compile it manually.\n",
    "slim-missing-variable": "WARNING:tensorflow:Checkpoint is missing variable [conv1/weights/Momentum]\n",
    "rng-not-restored": "[INFO|trainer.py:2300] 2024-02-01 15:24:42,103 >> Didn't find an RNG file, if you are resuming a training that was launched in a distributed fashion, reproducibility is not guaranteed.\n",
    "resume-missing": "WARNING:root:=> no checkpoint found at 'runs/model_best.pth.tar'\n",
    "peft": "UserWarning: Found missing adapter keys while loading the checkpoint: ['base_model.x.lora_A.weight']\n",
    "pl-strict": "/opt/x.py:1: UserWarning: Found keys that are not in the model state dict but in the checkpoint: ['head.weight']\n",
    "pl-missing": "/opt/x.py:1: UserWarning: Found keys that are in the model state dict but not in the checkpoint: ['head.weight']\n",
    "megatron-random": "WARNING: could not find the metadata file /x/latest_checkpointed_iteration.txt \n",
    "tfhf-unused": "Some layers from the model checkpoint at x were not used when initializing TFBertModel: ['mlm___cls']\n",
    "orbax-warn": 'WARNING:absl:Item "opt_state" was not found in the checkpoint; it was not restored\n',
    "orbax-none": "WARNING:absl:No checkpoint found for step 3; the state was not restored\n",
    "parameter-not-restored": "WARNING:absl:Parameter opt/m was not restored from the checkpoint\n",
    "reinitialising": "WARNING: optimizer state shape mismatch, re-initialising optimizer\n",
    "scheduler-not-restored": "WARNING:root:scheduler state was not restored\n",
}

# The ends of trainings as programs print them: progress, and that all of it was done.
ENDS: dict[str, str] = {
    "transformers": (
        "{'loss': 0.5123, 'grad_norm': 1.2, 'learning_rate': 4.5e-05, 'epoch': 1.0}\n"
        "{'train_runtime': 12.3456, 'train_samples_per_second': 81.0, 'train_loss': 0.5123, 'epoch': 1.0}\n"
    ),
    "lightning": (
        "Epoch 0: 100%|██████████| 10/10 [00:01<00:00,  9.90it/s, v_num=3, train_loss=0.512]\n"
        "`Trainer.fit` stopped: `max_epochs=1` reached.\n"
    ),
    "estimator": (
        "INFO:tensorflow:loss = 0.7231, step = 100 (12.123 sec)\n"
        "INFO:tensorflow:Loss for final step: 0.51234.\n"
    ),
    "fairseq": (
        "2020-12-08 22:43:14 | INFO | train | epoch 001 | loss 5.12 | ppl 34.7 | num_updates 100\n"
        "2020-12-08 22:44:14 | INFO | fairseq_cli.train | done training in 60.3 seconds\n"
    ),
    "yolo": "      1/3      4.62G     0.512       640: 100%|██████████| 10/10 [00:01<00:00]\n\n3 epochs completed in 0.012 hours.\n",
}
