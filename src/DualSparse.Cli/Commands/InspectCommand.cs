using System.CommandLine;
using System.Text.Json;
using DualSparse.Cli.Hosting;
using DualSparse.Engine.Loading;
using DualSparse.Kernels;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse inspect</c>: what a model is, or which kernels this machine runs and why not the others.</summary>
internal static class InspectCommand
{
    public static Command Create()
    {
        var command = new Command("inspect", "Shows a model's shape and the memory it needs, or this machine's kernels.");
        var model = new ModelArgument(command, positional: true);
        var kernels = new Option<bool>("--kernels") { Description = "Show which kernels this machine runs, and why not the others." };
        var json = new Option<bool>("--json") { Description = "Write JSON." };
        var ranks = NumberOption.Create<int>("--ranks", "Show the memory that each of this many ranks needs.");
        var placement = new Option<string?>("--placement") { Description = "With --ranks: own, slice or hybrid:P, as generate has it.", HelpName = "name" };
        foreach (Option option in new Option[] { kernels, ranks, placement, json })
            command.Options.Add(option);
        command.SetAction(parsed =>
        {
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(kernels) && model.Given(parsed) is { } given)
                throw new ArgumentException($"--kernels shows this machine's kernels, not a model's: leave {given} out");
            if (parsed.GetValue(kernels))
                ShowKernels(output, parsed.GetValue(json));
            else if (parsed.GetValue(ranks) is { } count)
                ShowRanks(output, RankMemory.Read(model.Folder(parsed), count, parsed.GetValue(placement)), parsed.GetValue(json));
            else
                ShowModel(output, ModelFacts.Read(model.Folder(parsed)), parsed.GetValue(json));
            return 0;
        });
        return command;
    }

    private static void ShowModel(TextWriter output, ModelFacts facts, bool json)
    {
        if (json)
        {
            output.WriteLine(JsonSerializer.Serialize(facts, Figures.Json));
            return;
        }

        var shape = new ResultTable("", "");
        foreach (var (name, value) in facts.Lines())
            shape.Add(name, value);
        shape.Write(output);
        var memory = new ResultTable("weights", "memory", "kernel here");
        foreach (var need in facts.Memory)
            memory.Add(need.Weights, MemoryBudget.Format(need.Bytes), need.Kernel);
        memory.Write(output);
    }

    private static void ShowRanks(TextWriter output, RankMemory memory, bool json)
    {
        if (json)
        {
            output.WriteLine(JsonSerializer.Serialize(memory, Figures.Json));
            return;
        }

        Terminal.WriteLine(output, $"placement {memory.Placement}: {memory.Reason}");
        string[] share = memory.Balancedness is null ? [] : ["work"];
        var table = new ResultTable(["rank", .. memory.Ranks[0].Bytes.Keys, .. share]);
        for (int rank = 0; rank < memory.Ranks.Length; rank++)
            table.Add([$"{rank}", .. memory.Ranks[rank].Bytes.Values.Select(MemoryBudget.Format), .. share.Select(_ => $"{memory.Ranks[rank].Share:0.0%}")]);
        table.Write(output);
    }

    private static void ShowKernels(TextWriter output, bool json)
    {
        string cpu = CpuFeatures.Current.Name;
        string? forced = Environment.GetEnvironmentVariable(KernelTable.Variable) is { Length: > 0 } name ? name : null;
        var lines = KernelReport.Current();
        if (json)
        {
            var kernels = lines.Select(line => new { Weights = Figures.Name(line.Weights), Kernel = line.Name, line.State, line.Reason });
            output.WriteLine(JsonSerializer.Serialize(new { Cpu = cpu, Forced = forced, Kernels = kernels }, Figures.Json));
            return;
        }

        output.WriteLine(cpu);
        var table = new ResultTable("weights", "kernel", "here");
        foreach (var line in lines)
        {
            table.Add(Figures.Name(line.Weights), line.Name, line.State switch
            {
                KernelState.Used => "used",
                KernelState.Available => "could be used",
                _ => $"refused: {line.Reason}",
            });
        }

        table.Write(output);
        if (forced is not null)
            output.WriteLine($"{KernelTable.Variable}={forced} forces this choice.");
    }
}
