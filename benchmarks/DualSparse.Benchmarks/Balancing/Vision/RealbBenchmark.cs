using System.Collections.Concurrent;
using System.Globalization;
using DualSparse.Evaluation.Tasks;
using DualSparse.Kernels.Threading;
using DualSparse.Models;

namespace DualSparse.Benchmarks.Balancing.Vision;

/// <summary>
/// What balance by precision costs on tasks with pictures, and what there is to balance: every rule over every task of a folder, with loads by layer,
/// expert and rank. What is there already is not done again.
/// </summary>
internal static class RealbBenchmark
{
    private const string Usage = "usage: realb OUT MODEL DATA [TASK,…|all] [RANKS,…] [ROWS-OF-EACH-TASK]";

    private const string DefaultRanks = "2,4,8";

    // Some ten passes: what is lost when it is ended in the middle.
    private const int ItemsOfStep = 250;

    /// <summary>Runs what isn't done yet and writes page and pictures.</summary>
    public static int Run(string[] args)
    {
        if (args is not [var output, var model, var data, .. var rest] || rest.Length > 3)
        {
            Console.Error.WriteLine(Usage);
            return 1;
        }

        try
        {
            string names = rest.Length > 0 ? rest[0] : "all";
            string[] tasks = names == "all" ? [.. Directory.EnumerateFiles(data, "*.jsonl").Select(file => Path.GetFileNameWithoutExtension(file)).Order(StringComparer.Ordinal)] : names.Split(',');
            int[] ranks = [.. (rest.Length > 1 ? rest[1] : DefaultRanks).Split(',').Select(count => int.Parse(count, CultureInfo.InvariantCulture))];
            Measure(Directory.CreateDirectory(output).FullName, model, data, tasks, ranks, rest.Length > 2 ? int.Parse(rest[2], CultureInfo.InvariantCulture) : null);
            return 0;
        }
        catch (AggregateException e)
        {
            Console.Error.WriteLine($"{e.InnerException!.Message}; the same command goes on from here");
            return 1;
        }
        catch (Exception e) when (e is ArgumentException or ModelFormatException or IOException or FormatException)
        {
            Console.Error.WriteLine($"{e.Message}; the same command goes on from here");
            return 1;
        }
    }

    private static void Measure(string output, string model, string data, string[] tasks, int[] ranks, int? limit)
    {
        var files = new StepFiles(output);
        int most = ranks.Max();
        IReadOnlyList<RealbVariant> variants = [.. RealbVariant.Alike(most), .. ranks.SelectMany(RealbVariant.Rules), .. RealbVariant.Drops(most)];
        (string Task, string Name, TaskSet Items)[] steps =
        [
            .. from task in tasks
               let all = TaskFile.Read(data, task, limit)
               from part in all.Items.Chunk(ItemsOfStep).Index()
               select (task, $"{task}-{part.Index}", all with { Items = part.Item }),
        ];
        // A model a thread: no thread waits for another.
        using var runs = new ThreadLocal<RealbRun>(() => new RealbRun(model, variants), trackAllValues: true);
        int done = 0;
        Parallel.ForEach(Partitioner.Create(steps, EnumerablePartitionerOptions.NoBuffering), new ParallelOptions { MaxDegreeOfParallelism = ThreadTeam.Available }, step =>
        {
            files.Step(step.Name, () => runs.Value!.Score(step.Items));
            Console.Error.WriteLine($"{DateTime.UtcNow:HH:mm:ss} {step.Name}, {Interlocked.Increment(ref done)} of {steps.Length}");
        });
        foreach (var run in runs.Values)
            run.Dispose();

        var parts = steps.Select(step => (step.Task, Step: files.Step(step.Name, () => throw new InvalidOperationException($"{step.Name} isn't done")))).ToArray();
        var figures = parts.GroupBy(part => part.Task).ToDictionary(task => task.Key, task => RealbFigures.Together([.. task.Select(part => RealbFigures.Read(part.Step))]));
        var loads = new LoadTables([.. parts.SelectMany(part => LoadProfile.Read(part.Step))], ranks);
        string page = RealbPage.Write(figures, loads);
        File.WriteAllText(Path.Combine(output, "realb-loads.svg"), LoadPicture.Draw(loads));
        File.WriteAllText(Path.Combine(output, "realb-loss.svg"), RealbPicture.Draw(RealbPage.Pools(figures)[0]));
        File.WriteAllText(Path.Combine(output, "README.md"), page);
        Console.WriteLine(page);
    }
}
