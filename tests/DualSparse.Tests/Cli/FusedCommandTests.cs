using DualSparse.Tests.Models.Weights;

namespace DualSparse.Tests.Cli;

/// <summary>Every command that reads a model, on one whose experts are fused.</summary>
public class FusedCommandTests
{
    [Fact]
    public void Every_command_reads_fused_experts()
    {
        using TemporaryFolder fused = FusedFolder.Write(TestPaths.Model, transposed: true), folder = new();
        File.WriteAllText(folder.File("rome.txt"), "The Roman army was the largest of its time. " + string.Concat(Enumerable.Repeat("It marched on good roads. ", 20)));
        Assert.Contains("experts fused", Run("inspect", fused.Path), StringComparison.Ordinal);
        Assert.Contains("agrees", Run("verify", fused.Path, "--weights", "f32"), StringComparison.Ordinal);
        Assert.NotEqual("", Run("generate", "Once upon a time", "--model", fused.Path, "--max-tokens", "4").Trim());
        Assert.Contains("\"tokens\": 64", Run("eval", fused.Path, "--text", folder.File("rome.txt"), "--context", "64", "--windows", "1", "--json"), StringComparison.OrdinalIgnoreCase);
        Assert.Contains("generat", Run("bench", fused.Path, "--prompt", "16", "--generate", "2", "--rounds", "1"), StringComparison.Ordinal);
        Run("sparsify", fused.Path, "-o", folder.File("out"), "--complete", "2");
        Assert.Contains("agrees", Run("verify", folder.File("out"), "--weights", "f32", "--reference", fused.File("golden.safetensors")), StringComparison.Ordinal);
    }

    private static string Run(params string[] arguments)
    {
        var run = CommandRun.Of(arguments);
        Assert.True(run.Code == 0, run.Errors);
        return run.Output;
    }
}
