"""PyTorch's side of a measurement: one workload in one process, driven by lines on stdin.

child.py NAME THREADS FORM    prepares the workload, then answers
    run N     -> seconds that N repeats took
    memory    -> peak resident memory of this process in KiB
child.py --describe           prints what PyTorch this is as key=value lines and ends
"""

import importlib.util
import os
import sys
import time

import torch


def peak():
    """VmHWM, in KiB."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def describe():
    print("version=" + torch.__version__)
    print("python=" + sys.version.split()[0])
    print("executable=" + sys.executable)
    print("capability=" + torch.backends.cpu.get_cpu_capability())
    for line in torch.__config__.show().splitlines():
        line = line.strip().removeprefix("- ")
        if "Math Kernel" in line:
            print("mkl=" + line)
        elif "DNN v" in line:
            print("onednn=" + line)
        elif line.startswith("Build settings"):
            for setting in line.split(": ", 1)[1].split(", "):
                if setting.startswith(("BLAS_INFO=", "USE_MKL=", "USE_MKLDNN=")):
                    print("build." + setting)


def load(name):
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(here, "workloads", name + ".py")
    spec = importlib.util.spec_from_file_location("workload", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def reply(text):
    sys.stdout.write(str(text).replace("\n", " ") + "\n")
    sys.stdout.flush()


def main():
    if sys.argv[1] == "--describe":
        describe()
        return
    name, threads, form = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    try:
        torch.set_num_threads(threads)
        torch.manual_seed(1)
        start = peak()
        run = load(name).prepare(form)
        reply("ready %d" % start)
        for line in sys.stdin:
            words = line.split()
            if words[0] == "run":
                count = int(words[1])
                begin = time.perf_counter()
                run(count)
                reply("%.9g" % (time.perf_counter() - begin))
            elif words[0] == "memory":
                reply(peak())
            else:
                raise ValueError("unknown request " + line.strip())
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as problem:
        reply("error %s: %s" % (type(problem).__name__, problem))
        sys.exit(1)


main()
