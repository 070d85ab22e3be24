/*
 * A libnvidia-ml.so.1 with no GPU behind it: it plays the scenario in the file that the environment
 * variable FAKE_NVML_SCENARIO names. Symbol names, structures and return codes are those of nvml.h,
 * as far as the harness calls them through pynvml. tests/fake_nvml.py builds it and documents the
 * scenario file.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    OK = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    FUNCTION_NOT_FOUND = 13,
    UNKNOWN = 999
};

enum { VALUE_UNSIGNED_INT = 1, VALUE_UNSIGNED_LONG_LONG = 3 };
enum { FIELD_PCIE_TX = 197, FIELD_PCIE_RX = 198 };

typedef struct {
    unsigned long long total, free, used;
} memory_v1;

typedef struct {
    unsigned int version;
    unsigned long long total, reserved, free, used;
} memory_v2;

typedef struct {
    unsigned int pid;
    unsigned long long used;
    unsigned int gpu_instance, compute_instance;
} process_info;

typedef struct {
    unsigned int field, scope;
    long long timestamp, latency;
    unsigned int type;
    int result;
    union {
        double d;
        unsigned int ui;
        unsigned long long ull;
    } value;
} field_value;

#define MAX_GPUS 16
#define MAX_POINTS 8192
#define MAX_PROCESSES 64

typedef struct {
    double at;
    unsigned long long used, tx, rx;
} point;

typedef struct {
    unsigned int pid;
    unsigned long long used;
    double from, to;
} process;

typedef struct {
    char uuid[96], name[96];
    int slice_of; /* index of the GPU that a MIG slice is on, or -1 */
    int mig;      /* 0, 1, or -1 for a GPU that has no such thing */
    int major, minor;
    unsigned long long total, reserved;
    int memory_version; /* newest that is supported; 0 for none */
    int counters;       /* 64, 32, 3264 (32 bits wide in a 64 bit value), or 0 for none */
    long tx_kib_s, rx_kib_s, throughput_ms; /* -1 for not supported */
    int process_version, process_error;
    int unusable; /* what the handle's functions return instead of a handle */
    int lost;
    long lost_calls;
    double lost_s;
    point points[MAX_POINTS];
    int n_points;
    process processes[MAX_PROCESSES];
    int n_processes;
    long calls; /* of the memory functions */
} gpu;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int references = 0;
static int init_code, by_calls;
static char driver[80], live[4096];
static int cuda;
static struct timespec began;
static gpu gpus[MAX_GPUS];
static int n_gpus;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - began.tv_sec) + 1e-9 * (double)(now.tv_nsec - began.tv_nsec);
}

static void add_process(gpu *g, const char *line)
{
    char size[32] = "";
    process p = {0, 0, 0.0, 1e300};
    if (g->n_processes < MAX_PROCESSES
        && sscanf(line, "process %u %31s %lf %lf", &p.pid, size, &p.from, &p.to) >= 2) {
        p.used = strcmp(size, "-") ? strtoull(size, NULL, 10) : ~0ULL;
        g->processes[g->n_processes++] = p;
    }
}

static int begins(const char *line, const char *word)
{
    size_t n = strlen(word);
    return !strncmp(line, word, n) && (line[n] == ' ' || line[n] == '\n' || !line[n]);
}

static void read_scenario(void)
{
    const char *path = getenv("FAKE_NVML_SCENARIO");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[4352], word[32];
    gpu *g = NULL;

    init_code = OK;
    by_calls = 0;
    n_gpus = 0;
    cuda = 12040;
    live[0] = 0;
    strcpy(driver, "550.54.15");
    clock_gettime(CLOCK_MONOTONIC, &began);
    if (!file) {
        init_code = UNKNOWN;
        return;
    }
    while (fgets(line, sizeof line, file)) {
        if (begins(line, "init")) sscanf(line, "init %d", &init_code);
        else if (begins(line, "driver")) sscanf(line, "driver %79s", driver);
        else if (begins(line, "cuda")) sscanf(line, "cuda %d", &cuda);
        else if (begins(line, "live")) sscanf(line, "live %4095[^\n]", live);
        else if (begins(line, "clock")) by_calls = !!strstr(line, "calls");
        else if ((begins(line, "gpu") || begins(line, "slice")) && n_gpus < MAX_GPUS) {
            int parent = -1, i;
            if (begins(line, "slice"))
                for (i = 0; i < n_gpus; i++)
                    if (gpus[i].slice_of < 0) parent = i;
            g = &gpus[n_gpus++];
            memset(g, 0, sizeof *g);
            g->slice_of = parent;
            g->mig = -1;
            g->major = 8;
            g->total = 16ULL << 30;
            g->memory_version = 2;
            g->counters = 64;
            g->tx_kib_s = g->rx_kib_s = -1;
            g->process_version = 3;
            g->lost_calls = -1;
            g->lost_s = -1;
            sscanf(line, "%*s %95s %95[^\n]", g->uuid, g->name);
        } else if (!g) continue;
        else if (begins(line, "mig")) sscanf(line, "mig %d", &g->mig);
        else if (begins(line, "capability"))
            sscanf(line, "capability %d %d", &g->major, &g->minor);
        else if (begins(line, "total")) sscanf(line, "total %llu", &g->total);
        else if (begins(line, "reserved")) sscanf(line, "reserved %llu", &g->reserved);
        else if (begins(line, "memory")) sscanf(line, "memory %d", &g->memory_version);
        else if (begins(line, "counters")) sscanf(line, "counters %d", &g->counters);
        else if (begins(line, "throughput"))
            sscanf(line, "throughput %ld %ld %ld", &g->tx_kib_s, &g->rx_kib_s, &g->throughput_ms);
        else if (begins(line, "processes")) sscanf(line, "processes %d", &g->process_version);
        else if (begins(line, "processes_error"))
            sscanf(line, "processes_error %d", &g->process_error);
        else if (begins(line, "unusable")) sscanf(line, "unusable %d", &g->unusable);
        else if (begins(line, "lost")) {
            double after = 0;
            if (sscanf(line, "lost %d %31s %lf", &g->lost, word, &after) == 3) {
                if (!strcmp(word, "calls")) g->lost_calls = (long)after;
                else g->lost_s = after;
            }
        } else if (begins(line, "at") && g->n_points < MAX_POINTS) {
            point p = {0, 0, 0, 0};
            if (sscanf(line, "at %lf %llu %llu %llu", &p.at, &p.used, &p.tx, &p.rx) >= 2)
                g->points[g->n_points++] = p;
        } else if (begins(line, "process")) add_process(g, line);
    }
    fclose(file);
}

/* Where in its curve a GPU is: the last point that is not in the future. */
static double position(const gpu *g)
{
    return by_calls ? (double)(g->calls > 0 ? g->calls - 1 : 0) : seconds();
}

static point current(const gpu *g)
{
    point found = {0, 0, 0, 0};
    double t = position(g);
    int i;
    for (i = 0; i < g->n_points && g->points[i].at <= t; i++) found = g->points[i];
    return found;
}

/* The first GPU takes its state from the live file, when there is one. */
static void refresh(gpu *g)
{
    char line[256];
    FILE *file;
    if (!live[0] || g != &gpus[0] || !(file = fopen(live, "r"))) return;
    g->n_points = 1;
    memset(&g->points[0], 0, sizeof g->points[0]);
    g->n_processes = 0;
    while (fgets(line, sizeof line, file)) {
        sscanf(line, "used %llu", &g->points[0].used);
        sscanf(line, "tx %llu", &g->points[0].tx);
        sscanf(line, "rx %llu", &g->points[0].rx);
        if (sscanf(line, "lost %d", &g->lost) == 1) g->lost_calls = 0;
        if (begins(line, "process")) add_process(g, line);
    }
    fclose(file);
}

/* Every function of a device begins here. */
static int enter(gpu *g)
{
    if (!references) return UNINITIALIZED;
    if (g < gpus || g >= gpus + n_gpus) return INVALID_ARGUMENT;
    refresh(g);
    if (g->lost && ((g->lost_calls >= 0 && g->calls >= g->lost_calls)
                    || (g->lost_s >= 0 && seconds() >= g->lost_s)))
        return g->lost;
    return OK;
}

int nvmlInitWithFlags(unsigned int flags)
{
    int code = OK;
    (void)flags;
    pthread_mutex_lock(&lock);
    if (!references) {
        read_scenario();
        code = init_code;
    }
    if (code == OK) references++;
    pthread_mutex_unlock(&lock);
    return code;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void)
{
    int code = OK;
    pthread_mutex_lock(&lock);
    if (references) references--;
    else code = UNINITIALIZED;
    pthread_mutex_unlock(&lock);
    return code;
}

const char *nvmlErrorString(int code)
{
    return code == OK ? "Success" : "an error that the fake library plays";
}

int nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    if (!references) return UNINITIALIZED;
    snprintf(version, length, "%s", driver);
    return OK;
}

int nvmlSystemGetNVMLVersion(char *version, unsigned int length)
{
    snprintf(version, length, "12.%s", driver);
    return OK;
}

int nvmlSystemGetCudaDriverVersion(int *version)
{
    *version = cuda;
    return OK;
}

int nvmlSystemGetCudaDriverVersion_v2(int *version) { return nvmlSystemGetCudaDriverVersion(version); }

int nvmlDeviceGetCount_v2(unsigned int *count)
{
    int i;
    if (!references) return UNINITIALIZED;
    for (*count = 0, i = 0; i < n_gpus; i++) *count += gpus[i].slice_of < 0;
    return OK;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, gpu **handle)
{
    int i;
    if (!references) return UNINITIALIZED;
    for (i = 0; i < n_gpus; i++)
        if (gpus[i].slice_of < 0 && !index--) {
            *handle = &gpus[i];
            return gpus[i].unusable;
        }
    return INVALID_ARGUMENT;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, gpu **handle)
{
    int i;
    if (!references) return UNINITIALIZED;
    for (i = 0; i < n_gpus; i++)
        if (!strcmp(gpus[i].uuid, uuid)) {
            *handle = &gpus[i];
            return gpus[i].unusable;
        }
    return NOT_FOUND;
}

int nvmlDeviceGetUUID(gpu *g, char *uuid, unsigned int length)
{
    int code = enter(g);
    if (code == OK) snprintf(uuid, length, "%s", g->uuid);
    return code;
}

int nvmlDeviceGetName(gpu *g, char *name, unsigned int length)
{
    int code = enter(g);
    if (code == OK) snprintf(name, length, "%s", g->name);
    return code;
}

int nvmlDeviceGetCudaComputeCapability(gpu *g, int *major, int *minor)
{
    int code = enter(g);
    *major = g->major;
    *minor = g->minor;
    return code;
}

int nvmlDeviceGetMigMode(gpu *g, unsigned int *now, unsigned int *pending)
{
    int code = enter(g);
    if (code != OK) return code;
    if (g->mig < 0) return NOT_SUPPORTED;
    *now = *pending = (unsigned int)g->mig;
    return OK;
}

int nvmlDeviceGetMaxMigDeviceCount(gpu *g, unsigned int *count)
{
    int code = enter(g);
    *count = g->mig > 0 ? 7 : 0;
    return code;
}

int nvmlDeviceGetMigDeviceHandleByIndex(gpu *g, unsigned int index, gpu **handle)
{
    int code = enter(g), i;
    if (code != OK) return code;
    for (i = 0; i < n_gpus; i++)
        if (gpus[i].slice_of == (int)(g - gpus) && !index--) {
            *handle = &gpus[i];
            return OK;
        }
    return NOT_FOUND;
}

int nvmlDeviceIsMigDeviceHandle(gpu *g, unsigned int *is_slice)
{
    *is_slice = g->slice_of >= 0;
    return OK;
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(gpu *g, gpu **parent)
{
    if (g->slice_of < 0) return INVALID_ARGUMENT;
    *parent = &gpus[g->slice_of];
    return OK;
}

/* Both memory functions. Version 1 counts the reserved memory as used, version 2 apart. */
static int read_memory(gpu *g, int version, memory_v2 *memory)
{
    int code;
    pthread_mutex_lock(&lock);
    code = enter(g);
    if (code == OK && g->memory_version < version)
        code = version == 2 && g->memory_version ? FUNCTION_NOT_FOUND : NOT_SUPPORTED;
    if (code == OK) {
        g->calls++;
        memory->total = g->total;
        memory->reserved = g->reserved;
        memory->used = current(g).used;
        memory->free = g->total - g->reserved - memory->used;
    }
    pthread_mutex_unlock(&lock);
    return code;
}

int nvmlDeviceGetMemoryInfo_v2(gpu *g, memory_v2 *memory)
{
    /* The version holds the structure's size: 2 << 24 | 40. */
    if (memory->version != 0x02000028 || sizeof *memory != 40) return 25;
    return read_memory(g, 2, memory);
}

int nvmlDeviceGetMemoryInfo(gpu *g, memory_v1 *memory)
{
    memory_v2 all = {0, 0, 0, 0, 0};
    int code = read_memory(g, 1, &all);
    if (code == OK) {
        memory->total = all.total;
        memory->free = all.free;
        memory->used = all.used + all.reserved;
    }
    return code;
}

static int list_processes(gpu *g, int version, unsigned int *count, process_info *list)
{
    unsigned int n = 0, room = *count;
    double t;
    int code, i;
    pthread_mutex_lock(&lock);
    code = enter(g);
    if (code == OK && g->process_error) code = g->process_error;
    if (code == OK && g->process_version < version)
        code = g->process_version ? FUNCTION_NOT_FOUND : NOT_SUPPORTED;
    if (code == OK) {
        t = position(g);
        for (i = 0; i < g->n_processes; i++)
            if (g->processes[i].from <= t && t < g->processes[i].to) {
                if (list && n < room) {
                    list[n].pid = g->processes[i].pid;
                    list[n].used = g->processes[i].used;
                    list[n].gpu_instance = list[n].compute_instance = 0xFFFFFFFFu;
                }
                n++;
            }
        *count = n;
        if (n > room) code = INSUFFICIENT_SIZE;
    }
    pthread_mutex_unlock(&lock);
    return code;
}

int nvmlDeviceGetComputeRunningProcesses_v3(gpu *g, unsigned int *count, process_info *list)
{
    return list_processes(g, 3, count, list);
}

int nvmlDeviceGetComputeRunningProcesses_v2(gpu *g, unsigned int *count, process_info *list)
{
    return list_processes(g, 2, count, list);
}

int nvmlDeviceGetFieldValues(gpu *g, int count, field_value *values)
{
    int code, i;
    point p;
    pthread_mutex_lock(&lock);
    code = enter(g);
    p = current(g);
    for (i = 0; code == OK && i < count; i++) {
        unsigned int field = values[i].field;
        unsigned long long bytes = field == FIELD_PCIE_TX ? p.tx : p.rx;
        values[i].latency = 0;
        values[i].timestamp = 0;
        values[i].result = OK;
        if (!g->counters || (field != FIELD_PCIE_TX && field != FIELD_PCIE_RX)) {
            values[i].result = g->counters ? INVALID_ARGUMENT : NOT_SUPPORTED;
        } else if (g->counters == 32) {
            values[i].type = VALUE_UNSIGNED_INT;
            values[i].value.ull = 0xDEADBEEF00000000ULL; /* what is beside the 32 bits is undefined */
            values[i].value.ui = (unsigned int)bytes;
        } else {
            values[i].type = VALUE_UNSIGNED_LONG_LONG;
            values[i].value.ull = g->counters == 3264 ? (unsigned int)bytes : bytes;
        }
    }
    pthread_mutex_unlock(&lock);
    return code;
}

int nvmlDeviceGetPcieThroughput(gpu *g, int counter, unsigned int *kib_s)
{
    struct timespec pause;
    long value;
    int code;
    pthread_mutex_lock(&lock);
    code = enter(g);
    value = counter == 0 ? g->tx_kib_s : g->rx_kib_s;
    pause.tv_sec = 0;
    pause.tv_nsec = g->throughput_ms * 1000000L;
    pthread_mutex_unlock(&lock);
    if (code == OK && value < 0) return NOT_SUPPORTED;
    if (code == OK) {
        nanosleep(&pause, NULL);
        *kib_s = (unsigned int)value;
    }
    return code;
}
