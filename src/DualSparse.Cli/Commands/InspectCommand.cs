using System.CommandLine;
using DualSparse.Cli.Hosting;
using DualSparse.Engine.Loading;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.Models.Safetensors;
using Spectre.Console;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse inspect</c>: what a model is, or which kernels this machine runs and why not the others.</summary>
internal static class InspectCommand
{
    public static Command Create()
    {
        var command = new Command("inspect", "Shows a model's shape and the memory it needs, or this machine's kernels.");
        var model = new Argument<string?>("model")
        {
            Description = $"The model's folder. [default: {ModelFolder.Default}]",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var kernels = new Option<bool>("--kernels") { Description = "Show which kernels this machine runs, and why not the others." };
        command.Arguments.Add(model);
        command.Options.Add(kernels);
        command.SetAction(parsed =>
        {
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(kernels))
                ShowKernels(output);
            else
                ShowModel(output, ModelFolder.Find(parsed.GetValue(model)));
            return 0;
        });
        return command;
    }

    private static void ShowModel(TextWriter output, string folder)
    {
        var console = Terminal.On(output);
        using var checkpoint = Checkpoint.Open(folder);
        var config = checkpoint.Config;
        var size = ModelSize.Of(config);
        var shape = Terminal.Table(output, "", "");
        shape.ShowHeaders = false;
        foreach (var (name, value) in ModelFacts.Of(config))
            shape.AddRow(Markup.Escape(name), Markup.Escape(value));
        shape.AddRow("parameters", $"{ModelSize.Show(size.Total)}, active for a token {ModelSize.Show(size.Active)}");
        var tensors = config.Tensors.All().Select(t => checkpoint.Get(t)).ToArray();
        string fused = config.Names.Experts == ExpertStorage.Separate ? "" : ", experts fused";
        shape.AddRow("tensors", $"{tensors.Length} ({string.Join(", ", tensors.Select(t => t.Type.HeaderName()).Distinct())}{fused}), {MemoryBudget.Show(tensors.Sum(t => t.ByteLength))}");
        shape.AddRow("keys and values", $"{MemoryNeed.KeyValueBytes(config, WeightFormat.Bf16) / 1024.0:0.#} KiB a token, with f32 weights {MemoryNeed.KeyValueBytes(config, WeightFormat.F32) / 1024.0:0.#}");
        if (DropProfile.Find(folder)?.Methods is { Count: > 0 } methods)
            shape.AddRow("thresholds", $"for --drop to {methods[0].Points[^1].Drop}, by {string.Join(" or ", methods.Select(m => m.Name))} (sparsified)");
        console.Write(shape);

        var memory = Terminal.Table(output, "weights", "memory", "kernel here");
        foreach (var format in Enum.GetValues<WeightFormat>())
            memory.AddRow(Figures.Name(format), MemoryBudget.Show(MemoryNeed.WeightBytes(config, format)), KernelTable.Choose(format).Name);
        console.Write(memory);
    }

    private static void ShowKernels(TextWriter output)
    {
        var console = Terminal.On(output);
        console.WriteLine(CpuFeatures.Current.Name);
        var table = Terminal.Table(output, "weights", "kernel", "here");
        foreach (var line in KernelReport.Current())
        {
            string state = line.State switch
            {
                KernelState.Serves => "serves",
                KernelState.Available => "could serve",
                _ => $"refused: {line.Reason}",
            };
            table.AddRow(Figures.Name(line.Weights), line.Name, Markup.Escape(state));
        }

        console.Write(table);
        if (Environment.GetEnvironmentVariable(KernelTable.Variable) is { Length: > 0 } forced)
            console.WriteLine($"{KernelTable.Variable}={forced} forces this choice.");
    }
}
