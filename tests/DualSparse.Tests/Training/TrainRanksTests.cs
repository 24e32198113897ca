using System.Diagnostics;
using DualSparse.Tests.Cli;
using DualSparse.Tests.Distributed;
using DualSparse.Training.Checkpoints;

namespace DualSparse.Tests.Training;

/// <summary>A run over several ranks is what one process computes with as many parts, to the bit.</summary>
public sealed class TrainRanksTests : IDisposable
{
    private const int Steps = 4, Accumulation = 2;

    private readonly TinyRun run = new();

    // The usual model, where DUALSPARSE_SLOW is set.
    private const string Slow = "slow";

    // Every operator that has a gradient, and more ranks than experts.
    public static TheoryData<string, int, string> Cases => new()
    {
        { "mpirun.openmpi", 2, "" },
        { "mpirun.mpich", 3, "" },
        { "mpirun.openmpi", 5, Slow },
        { "mpirun.openmpi", 2, """{"model_type":"qwen2_moe","num_hidden_layers":2,"mlp_only_layers":[0],"moe_intermediate_size":24,"shared_expert_intermediate_size":40,"num_experts":6,"num_experts_per_tok":3,"norm_topk_prob":true""" },
        { "mpirun.mpich", 2, """{"model_type":"scmoe","num_hidden_layers":2,"head_dim":16,"moe_intermediate_size":24,"num_experts":4,"num_experts_per_tok":1,"shared_expert":true,"shared_expert_intermediate_size":24""" },
        { "mpirun.openmpi", 2, """{"model_type":"scmoe","routing":"dual","shared_expert":false,"combine":"add","shortcut_position":2,"num_hidden_layers":4,"head_dim":16,"moe_intermediate_size":24,"num_experts":4,"num_experts_per_tok":1""" },
        { "mpirun.openmpi", 2, """{"model_type":"qwen3_moe","wiring":"farskip","num_hidden_layers":3,"head_dim":16,"moe_intermediate_size":24,"num_experts":4,"num_experts_per_tok":2""" },
        { "mpirun.mpich", 2, """{"model_type":"scmoe","shortcut_position":2,"combine":"cg2","num_hidden_layers":4,"head_dim":16,"moe_intermediate_size":24,"num_experts":4,"num_experts_per_tok":1,"shared_expert":true,"shared_expert_intermediate_size":24""" },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Ranks_compute_what_one_process_does_with_as_many_parts(string launcher, int ranks, string config)
    {
        SlowTests.Require(config == Slow);
        if (config.StartsWith('{'))
        {
            File.WriteAllText(run.Config, config + """
                ,"hidden_size":32,"intermediate_size":48,"num_attention_heads":2,"num_key_value_heads":2,"vocab_size":4096,"rms_norm_eps":1e-5,
                "max_position_embeddings":64,"tie_word_embeddings":false,"hidden_act":"silu","eos_token_id":0,"router_aux_loss_coef":0.02,"rope_theta":10000.0}
                """);
        }

        var result = MpiRun.Of(launcher, (ranks, New("ranks", ranks)));
        Assert.True(result.Code == 0, result.Errors);
        Alone("alone", ranks);
        Assert.Equal(run.Left("alone"), run.Left("ranks"));
    }

    [Fact]
    public void Ranks_go_on_with_a_run_of_one_process_and_it_with_theirs()
    {
        Alone("whole", 2);
        Alone("out", 2, most: 1);
        var result = MpiRun.Of("mpirun.openmpi", (2, ["train", "--resume", run.At("out"), "--threads", "1"]));
        Assert.True(result.Code == 0, result.Errors);
        Assert.Equal(run.Left("whole"), run.Left("out"));

        // Its last checkpoint but one is theirs.
        string last = Directory.GetDirectories(Path.Combine(run.At("out"), TrainingFolder.Name), "step-*").Max()!;
        Directory.Delete(last, recursive: true);
        using (var trainer = run.Resume("out"))
        {
            Assert.Equal(Steps - 1, trainer.Done);
            TinyRun.Run(trainer);
            trainer.Finish();
        }

        Assert.Equal(run.Left("whole"), run.Left("out"));
    }

    [Fact]
    public void A_rank_that_is_killed_leaves_a_run_that_goes_on_to_the_bit()
    {
        const int steps = 30;
        Alone("whole", 2, steps: steps);
        using (var process = MpiRun.StartOwn([.. New("out", 2, steps), "--ranks", "2"]))
        {
            while (!Directory.Exists(Path.Combine(run.At("out"), TrainingFolder.Name, "step-00000003")) && !process.WaitForExit(1))
            {
            }

            Assert.False(process.HasExited, "the run had ended before a rank could be killed");
            int rank = MpiRun.FindRank(process.Id, 1) ?? throw new InvalidOperationException("rank 1 isn't there");
            using (var one = Process.GetProcessById(rank))
                one.Kill();
            var lost = MpiRun.Wait(process);
            Assert.Equal(70, lost.Code);
            Assert.Contains("rank 1", lost.Errors);
        }

        var result = MpiRun.Own("train", "--resume", run.At("out"), "--threads", "1", "--ranks", "2");
        Assert.True(result.Code == 0, result.Errors);
        Assert.Equal(run.Left("whole"), run.Left("out"));
    }

    [Fact]
    public void Parts_that_are_not_the_ranks_are_a_sentence()
    {
        var result = MpiRun.Own([.. New("out", 2), "--parts", "3", "--ranks", "2"]);
        Assert.Equal((1, "dualsparse: the number of parts is 3, expected that of the ranks, 2: each computes one\n"), (result.Code, result.Errors));
        Alone("alone", 2, most: 1);
        result = MpiRun.Own("train", "--resume", run.At("alone"), "--ranks", "3");
        Assert.Equal(1, result.Code);
        Assert.Contains("the run has 2 parts a step, so --ranks 2 or one process can go on with it to the bit, and not 3 ranks", result.Errors);
        Assert.Contains("expected a whole number", CommandRun.Mistake("train", "--parts", "x"));
    }

    public void Dispose() => run.Dispose();

    private string[] New(string output, int ranks, int steps = Steps) =>
    [
        "train", "--config", run.Config, "--tokenizer", TestPaths.Model, "--text", run.Text, "-o", run.At(output), "--context", "32", "--batch-tokens", $"{Batch(ranks)}",
        "--accumulate", $"{Accumulation}", "--steps", $"{steps}", "--warm-up", "2", "--learning-rate", "0.003", "--validate-every", "2", "--validation-share", "0.05",
        "--checkpoint-every", "1", "--threads", "1", "--seed", "7",
    ];

    private void Alone(string output, int ranks, int most = int.MaxValue, int steps = Steps)
    {
        var options = TinyRun.Options(steps) with { BatchTokens = Batch(ranks), Accumulation = Accumulation, Parts = ranks, ValidationSteps = 2, CheckpointSteps = 1 };
        using var trainer = run.Start(output, options);
        TinyRun.Run(trainer, most);
        if (most == int.MaxValue)
            trainer.Finish();
    }

    // Two windows a pass, and a number of held-out batches that ranks can't share evenly.
    private static int Batch(int ranks) => 2 * 32 * Accumulation * ranks;
}
