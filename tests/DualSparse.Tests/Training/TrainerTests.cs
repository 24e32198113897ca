using DualSparse.Engine;
using DualSparse.Kernels;
using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Models.Safetensors;
using DualSparse.Training;
using DualSparse.Training.Checkpoints;

namespace DualSparse.Tests.Training;

/// <summary>Runs of a tiny model: what they learn, what they leave, and that a resumed one is the same to the bit.</summary>
public sealed class TrainerTests : IDisposable
{
    private readonly TinyRun run = new();

    [Fact]
    public void A_run_learns_and_leaves_an_ordinary_model()
    {
        using (var trainer = run.Start("out", TinyRun.Options(60)))
        {
            TinyRun.Run(trainer);
            trainer.Finish();
            Assert.Null(trainer.Step());
            Assert.Equal(Enumerable.Range(1, 60), trainer.Curve.Select(step => step.Step));
            Assert.All(trainer.Curve, step => Assert.Equal(step.Step % 5 == 0, step.HeldOutLoss is not null));
            // ln 4096 at first.
            Assert.InRange(trainer.Curve[0].Loss, 8.1, 8.6);
            Assert.InRange(trainer.Curve[^1].HeldOutLoss!.Value, 4, trainer.Curve[0].Loss - 0.8);
            Assert.Equal(0.02, trainer.Options.Balance);
        }

        string output = run.At("out");
        Assert.Equal(
            ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "training"],
            Directory.GetFileSystemEntries(output).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        using var checkpoint = Checkpoint.Open(output);
        Assert.Equal(TensorType.BF16, checkpoint.Get("model.embed_tokens.weight").Type);
        using var model = MoeModel.Load(output, new EngineOptions { Threads = 1 });
        using var session = model.NewSession();
        Assert.Equal(5, session.Generate("Once upon a time", new() { MaxTokens = 5, Temperature = 0 }).Count());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_resumed_run_is_the_same_to_the_bit_whatever_the_threads(int threads)
    {
        var options = TinyRun.Options(20) with { Accumulation = threads, Weights = WeightFormat.F32 };
        using (var whole = run.Start("whole", options))
        {
            TinyRun.Run(whole);
            whole.Finish();
        }

        using (var first = run.Start("parts", options with { Threads = threads }))
        {
            TinyRun.Run(first, 7);
            first.Save();
            // Made, but not saved: it is made again.
            TinyRun.Run(first, 2);
        }

        using (var second = run.Resume("parts", threads))
        {
            Assert.Equal(7, second.Done);
            TinyRun.Run(second);
            second.Finish();
        }

        Assert.Equal(run.Left("whole"), run.Left("parts"));
        using (var ended = run.Resume("parts"))
        {
            Assert.Null(ended.Step());
            File.Delete(Path.Combine(run.At("parts"), "model.safetensors"));
            ended.Finish();
        }

        Assert.Equal(run.Left("whole"), run.Left("parts"));
    }

    [Fact]
    public void The_last_two_checkpoints_stay_and_a_damaged_one_is_passed_over()
    {
        using (var trainer = run.Start("out", TinyRun.Options(9) with { CheckpointSteps = 3 }))
        {
            TinyRun.Run(trainer);
            trainer.Finish();
        }

        var expected = run.Left("out");
        string training = Path.Combine(run.At("out"), TrainingFolder.Name);
        Assert.Equal(["step-00000006", "step-00000009"], Directory.GetDirectories(training).Select(Path.GetFileName).Order(StringComparer.Ordinal));

        // One bit of a mean, as a disk loses it.
        string means = Path.Combine(training, "step-00000009", "means.safetensors");
        byte[] bytes = File.ReadAllBytes(means);
        bytes[^1000] ^= 1;
        File.WriteAllBytes(means, bytes);
        Directory.CreateDirectory(Path.Combine(training, "step-00000012.77.tmp"));
        File.WriteAllText(Path.Combine(run.At("out"), "model.safetensors.77.tmp"), "");
        using (var trainer = run.Resume("out"))
        {
            Assert.Equal(6, trainer.Done);
            TinyRun.Run(trainer);
            trainer.Finish();
        }

        Assert.Equal(expected, run.Left("out"));
        Assert.DoesNotContain(Directory.GetFileSystemEntries(run.At("out"), "*", SearchOption.AllDirectories), path => path.EndsWith(".tmp", StringComparison.Ordinal));

        foreach (string state in Directory.GetFiles(training, TrainingState.FileName, SearchOption.AllDirectories))
            File.WriteAllText(state, "{\"version\":1");
        Assert.Contains("not valid JSON", Assert.Throws<ModelFormatException>(() => run.Resume("out")).Message);
    }

    [Fact]
    public void A_model_is_trained_further_from_its_own_weights()
    {
        using var trainer = Trainer.FineTune(TestPaths.Model, [run.Text], run.At("out"), TinyRun.Options(2) with { WarmUpSteps = 0, LearningRate = null });
        Assert.Equal((1e-4, 0.01), (trainer.Options.LearningRate, trainer.Options.Balance));
        // Weights of bf16 are those that were read.
        Assert.Equal(Values(TestPaths.Model), Values(run.At("out")));
        Assert.InRange(trainer.Step()!.Loss, 1, 5);
    }

    [Fact]
    public void What_the_run_was_begun_with_must_be_there_again()
    {
        using (var trainer = run.Start("out", TinyRun.Options(4)))
        {
            Assert.Contains("another process trains there", Assert.Throws<IOException>(() => run.Resume("out")).Message);
            TinyRun.Run(trainer, 2);
            trainer.Save();
        }

        string output = run.At("out"), config = Path.Combine(output, "config.json"), tokenizer = Path.Combine(output, "tokenizer.json");
        Changed(run.Text, "it is not the text that the run was begun with", text => text.Replace('e', 'i'));
        Changed(run.Text, "it is not the text that the run was begun with", text => text + "more");
        Changed(config, "config.json is not the one", text => text.Replace("0.02", "0.03", StringComparison.Ordinal));
        Changed(tokenizer, "the tokenizer is not the one", text => text + " ");
        string state = Directory.GetFiles(output, TrainingState.FileName, SearchOption.AllDirectories).Order(StringComparer.Ordinal).Last();
        string written = File.ReadAllText(state);
        string kernel = written.Split("\"kernel\": \"")[1].Split('"')[0];
        File.WriteAllText(state, written.Replace($"\"kernel\": \"{kernel}\"", "\"kernel\": \"abacus f32\"", StringComparison.Ordinal));
        Assert.Contains($"begun with the kernel abacus f32, and here it would go on with {kernel}", Assert.Throws<InvalidOperationException>(() => run.Resume("out")).Message);
        File.WriteAllText(state, written);

        // Elsewhere, it is the same text.
        File.Move(run.Text, run.At("moved.txt"));
        Assert.Contains("no such file", Assert.Throws<ModelFormatException>(() => run.Resume("out")).Message);
        using (var moved = Trainer.Resume(output, 1, [run.At("moved.txt")]))
            Assert.Equal(2, moved.Done);

        void Changed(string file, string sentence, Func<string, string> change)
        {
            string before = File.ReadAllText(file);
            File.WriteAllText(file, change(before));
            Assert.Contains(sentence, Assert.Throws<ModelFormatException>(() => run.Resume("out")).Message);
            File.WriteAllText(file, before);
        }
    }

    [Fact]
    public void A_loss_that_is_no_number_ends_the_run_and_changes_nothing()
    {
        using (var trainer = run.Start("out", TinyRun.Options(9) with { LearningRate = 1e38, WarmUpSteps = 0, Decay = DualSparse.Training.Optimisation.RateDecay.Constant }))
        {
            var error = Assert.Throws<ArithmeticException>(() => TinyRun.Run(trainer));
            Assert.Matches(@"^step [2-9]: .*, so the step isn't made; the checkpoint of step 0 in .* is as it was", error.Message);
            Assert.Throws<ArithmeticException>(() => trainer.Step());
        }

        using var again = run.Resume("out");
        Assert.Equal(0, again.Done);
    }

    [Fact]
    public void Values_follow_from_the_seed_and_are_as_wide_as_they_should_be()
    {
        using var team = new ThreadTeam(2);
        var config = ModelConfig.Parse(File.ReadAllBytes(run.Config), "config.json", null, "");
        using ParameterSet set = new(config, TrainingParts.Whole), other = new(config, TrainingParts.Whole);
        Initialisation.Fill(set, config, 0.02, 3, team);
        Initialisation.Fill(other, config, 0.02, 4, team);
        foreach (var parameter in set.All)
        {
            var values = set.ValuesOf(parameter).ToArray();
            if (parameter.Shape.Length == 1)
            {
                Assert.All(values, value => Assert.Equal(1, value));
                continue;
            }

            // o_proj and down_proj of two layers: by √4 narrower.
            double deviation = Math.Sqrt(values.Sum(v => (double)v * v) / values.Length), expected = parameter.Name.Contains("o_proj") || parameter.Name.Contains("down_proj") ? 0.01 : 0.02;
            Assert.InRange(deviation / expected, 1 - 5 / Math.Sqrt(2.0 * values.Length), 1 + 5 / Math.Sqrt(2.0 * values.Length));
            Assert.InRange(values.Average(v => (double)v) / expected, -5 / Math.Sqrt(values.Length), 5 / Math.Sqrt(values.Length));
            Assert.NotEqual(values, other.ValuesOf(parameter).ToArray());
        }
    }

    public void Dispose() => run.Dispose();

    private static float[] Values(string folder)
    {
        using var checkpoint = Checkpoint.Open(folder);
        return checkpoint.Get("model.layers.1.mlp.experts.3.up_proj.weight").ReadFloats();
    }
}
