using System.Diagnostics;
using DualSparse.Models;

namespace DualSparse.Fuzz;

/// <summary>Runs cases in turn over the targets, reports the first that fails, and sums up.</summary>
internal static class FuzzRun
{
    /// <summary>Returns the exit code: 0, or 1 where a case failed.</summary>
    public static int Run(long iterations, int seed, long first, string? only)
    {
        var targets = FuzzTargets.All.Where(target => only is null || target.Name == only).ToArray();
        if (targets.Length == 0)
        {
            Console.Error.WriteLine($"there is no target '{only}'");
            return 1;
        }

        var (read, refused) = (new long[targets.Length], new long[targets.Length]);
        var (largest, slowest, slowestCase, clock, lastLine) = (0L, TimeSpan.Zero, first, Stopwatch.StartNew(), TimeSpan.Zero);
        for (long number = first; number < first + iterations; number++)
        {
            // A generator of its own for each case, so that any case can be run again by itself.
            var random = new Random(unchecked(seed * 1_000_003 + (int)number * 7919 + (int)(number >> 31)));
            int index = (int)(number % targets.Length);
            byte[] input = Mutator.Mutate(random, targets[index].Seeds);
            long before = GC.GetAllocatedBytesForCurrentThread();
            var start = clock.Elapsed;
            string? fault = null;
            try
            {
                targets[index].Read(input);
                read[index]++;
            }
            catch (ModelFormatException e)
            {
                refused[index]++;
                if (e.Message.Length > 1000 || e.Message.AsSpan().IndexOfAny('\r', '\n') >= 0)
                    fault = $"its message is no single short line: {e.Message}";
            }
            catch (Exception e)
            {
                fault = e.ToString();
            }

            long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            largest = Math.Max(largest, allocated);
            if (clock.Elapsed - start is var time && time > slowest)
                (slowest, slowestCase) = (time, number);
            if (allocated > targets[index].MaxAllocatedBytes)
                fault ??= $"it allocated {allocated} bytes, expected at most {targets[index].MaxAllocatedBytes}";
            if (fault is not null)
                return Report(targets[index], number, seed, input, fault);
            if (clock.Elapsed - lastLine > TimeSpan.FromSeconds(5))
            {
                lastLine = clock.Elapsed;
                Console.WriteLine($"{number - first + 1} of {iterations} cases");
            }
        }

        for (int i = 0; i < targets.Length; i++)
            Console.WriteLine($"{targets[i].Name,-12} {read[i] + refused[i],10} cases: {read[i],8} read, {refused[i],8} refused");
        Console.WriteLine($"no fault; most memory of a case {largest / 1024.0:0} KiB, longest case {slowest.TotalMilliseconds:0} ms (number {slowestCase}), {clock.Elapsed.TotalSeconds:0} s");
        return 0;
    }

    private static int Report(FuzzTarget target, long number, int seed, byte[] input, string fault)
    {
        string file = Path.Combine(Path.GetTempPath(), $"fuzz-{target.Name}-{seed}-{number}.bin");
        File.WriteAllBytes(file, input);
        Console.WriteLine($"{target.Name}, case {number} (seed {seed}): {fault}");
        Console.WriteLine($"the input is in {file}");
        return 1;
    }
}
