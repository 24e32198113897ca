using DualSparse.Training;
using DualSparse.Training.Checkpoints;

namespace DualSparse.Tests.Training;

/// <summary>A model so small that a run takes no time, its configuration and text in a folder that is gone when the test is.</summary>
internal sealed class TinyRun : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public TinyRun(int characters = 40_000)
    {
        File.WriteAllText(Config, """
            {"model_type":"olmoe","hidden_size":32,"intermediate_size":32,"num_attention_heads":2,"num_key_value_heads":2,"num_experts":4,
            "num_experts_per_tok":2,"norm_topk_prob":false,"vocab_size":4096,"rms_norm_eps":1e-5,"num_hidden_layers":2,
            "max_position_embeddings":64,"tie_word_embeddings":true,"hidden_act":"silu","eos_token_id":0,"router_aux_loss_coef":0.02}
            """);
        File.WriteAllText(Text, SampleText[..characters]);
    }

    /// <summary>The text that ships.</summary>
    public static string SampleText { get; } = File.ReadAllText(TestPaths.InRepository("data", "calibration", "calibration.txt"));

    public string Config => folder.File("config.json");

    public string Text => folder.File("text.txt");

    public string At(string name) => folder.File(name);

    /// <summary>Windows of 32 tokens, 4 a step.</summary>
    public static TrainingOptions Options(int steps) => new() { Context = 32, BatchTokens = 128, Steps = steps, WarmUpSteps = 2, LearningRate = 3e-3, ValidationSteps = 5, ValidationShare = 0.05, Threads = 1, Seed = 7 };

    public Trainer Start(string output, TrainingOptions options) => Trainer.Start(Config, TestPaths.Model, [Text], folder.File(output), options);

    public Trainer Resume(string output, int threads = 1) => Trainer.Resume(folder.File(output), threads);

    /// <summary>Makes steps until the run ends, or so many.</summary>
    public static void Run(Trainer trainer, int most = int.MaxValue)
    {
        for (int i = 0; i < most && trainer.Step() is not null; i++)
        {
        }
    }

    /// <summary>What a run left, without its times.</summary>
    public (string Weights, string Curve) Left(string output) => Left(output, folder.Path);

    /// <summary>The same of a folder anywhere.</summary>
    public static (string Weights, string Curve) Left(string output, string parent)
    {
        string path = Path.Combine(parent, output);
        var rows = System.IO.File.ReadAllLines(Path.Combine(path, TrainingFolder.Name, TrainingCurve.FileName)).Select(row => row[..row.LastIndexOf(',')]);
        return (Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(System.IO.File.ReadAllBytes(Directory.GetFiles(path, "*.safetensors").Single()))), string.Join('\n', rows));
    }

    public void Dispose() => folder.Dispose();
}
