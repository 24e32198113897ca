using System.CommandLine;
using DualSparse.Cli.Hosting;
using DualSparse.Models;
using DualSparse.Sparsify.Complete;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse sparsify MODEL -o OUT --complete P</c>: the same function as an ordinary checkpoint of P times as many experts.</summary>
internal sealed class CompleteArguments
{
    private readonly Option<int?> parts = NumberOption.Create<int>(
        "--complete", "Instead of reordering neurons, cut every expert into this many: an ordinary checkpoint that computes the same in any engine.");

    private readonly Option<bool> allowRounding = new("--allow-rounding") { Description = "With --complete: round W2 where its type can't hold the scaled values." };

    public CompleteArguments(Command command)
    {
        command.Options.Add(parts);
        command.Options.Add(allowRounding);
        command.Validators.Add(result =>
        {
            bool complete = result.GetResult(parts) is not null;
            if (!complete && result.GetResult(allowRounding) is { Implicit: false })
                result.AddError("--allow-rounding has a meaning only beside --complete");
            foreach (var option in complete ? command.Options : [])
            {
                if (option != parts && option != allowRounding && option.Name != "--output" && result.GetResult(option) is { Implicit: false })
                    result.AddError($"--complete cuts experts as they are stored, and {option.Name} has no meaning beside it: sparsify first, then complete what it wrote");
            }
        });
    }

    /// <summary>Whether the transformation is asked for.</summary>
    public bool Given(ParseResult parsed) => parsed.GetValue(parts) is not null;

    public int Run(ParseResult parsed, string folder, string output)
    {
        int count = parsed.GetValue(parts)!.Value;
        using var interrupt = new Interrupt();
        IReadOnlyList<string> leftOut = [];
        var moe = ProgressBars.Show(parsed.InvocationConfiguration.Error, Cut).Moe!;
        parsed.InvocationConfiguration.Output.WriteLine($"{output}: {moe.Experts} experts of {moe.Intermediate} neurons, {moe.TopK} a token; every expert became {count}");
        SparsifyCommand.WriteLeftOut(parsed.InvocationConfiguration.Output, leftOut);
        return 0;

        ModelConfig Cut(ProgressBars? progress)
        {
            try
            {
                return CompleteTransformation.Run(folder, output, count, parsed.GetValue(allowRounding), progress, interrupt.Token, left => leftOut = left);
            }
            catch (ArgumentException e) when (e.ParamName == "allowRounding")
            {
                throw new ArgumentException($"without --allow-rounding: {e.Message}", e);
            }
        }
    }
}
