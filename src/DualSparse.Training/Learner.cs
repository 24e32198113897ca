using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Training.Optimisation;
using DualSparse.Training.Ranks;

namespace DualSparse.Training;

/// <summary>
/// A model and its optimizer, and what is done with them step by step: alone, or by all ranks together. On rank 0 each method tells the others, which
/// call the same one.
/// </summary>
internal sealed class Learner : IDisposable
{
    // Of a pass: its three losses, and its targets.
    private const int FiguresOfPass = 4;

    private readonly TrainingOptions options;
    private readonly TrainingParts parts;
    private readonly TrainingPeers? peers;
    private readonly ParameterSums? sums;
    private float[] predictions = [];

    /// <summary>Makes a model whose values are zero.</summary>
    /// <param name="config">The model.</param>
    /// <param name="options">How it trains, all chosen.</param>
    /// <param name="team">The threads, which stay the caller's.</param>
    /// <param name="parts">Which parts of a step this process computes.</param>
    /// <param name="peers">The other ranks; null: this process computes all.</param>
    /// <exception cref="NotSupportedException">An operator of the model has no gradient.</exception>
    /// <exception cref="OutOfMemoryException">There is no room.</exception>
    public Learner(ModelConfig config, TrainingOptions options, ThreadTeam team, TrainingParts parts, TrainingPeers? peers)
    {
        (this.options, this.parts, this.peers) = (options, parts, peers);
        Model = new TrainableModel(config, team, RunSetup.Products(options.Products), parts);
        Optimizer = new AdamW(Model.Parameters, new AdamWOptions { Beta1 = options.Beta1, Beta2 = options.Beta2, Epsilon = options.Epsilon, WeightDecay = options.WeightDecay });
        sums = parts.Mine.Count > 1 ? new ParameterSums(Model.Parameters) : null;
    }

    /// <summary>The model.</summary>
    public TrainableModel Model { get; }

    /// <summary>Whose predictions are learned; null: the texts' next tokens. It is the learner's to dispose.</summary>
    public TrainableModel? Teacher { get; set; }

    /// <summary>AdamW.</summary>
    public AdamW Optimizer { get; }

    /// <summary>Processes that compute together.</summary>
    public int Processes => peers is null ? 1 : parts.Count;

    private int PassWindows => options.Windows / parts.Count / options.Accumulation;

    /// <summary>Ranks begin together, with rank 0's values.</summary>
    /// <param name="config">The model's config.json.</param>
    /// <exception cref="InvalidOperationException">They multiply by different kernels.</exception>
    public void Meet(byte[] config)
    {
        peers?.Order(new TrainingOrder { Kind = TrainingOrderKind.Begin, Config = config, Options = options, Step = (int)Optimizer.Steps });
        peers?.CompareKernels(Model.Kernel);
        peers?.Scatter(Model.Parameters, Optimizer, TensorsOf);
        Model.ValuesChanged();
    }

    /// <summary>Computes a step's losses and gradients, and tells other ranks to make the whole step.</summary>
    /// <param name="step">The windows of all parts.</param>
    /// <param name="rate">The learning rate to come.</param>
    /// <returns>The mean losses of all passes, and the norm of the gradient; on ranks but the first the losses are 0.</returns>
    public (Losses Losses, double Norm) Gradients(WindowBatch step, double rate)
    {
        peers?.Order(new TrainingOrder { Kind = TrainingOrderKind.Step, Batches = [step], Rate = rate });
        int passes = parts.Count * options.Accumulation;
        var figures = new double[parts.Mine.Count * options.Accumulation * FiguresOfPass];
        int at = 0;
        foreach (int part in parts.Mine)
        {
            Model.ClearGradients();
            for (int pass = 0; pass < options.Accumulation; pass++)
            {
                var batch = step.Slice((part * options.Accumulation + pass) * PassWindows, PassWindows);
                var losses = Model.Backward(batch, options.Coefficients(), 1f / passes, Predictions(batch));
                foreach (double figure in (double[])[losses.CrossEntropy, losses.Balance, losses.RouterZ, losses.Targets])
                    figures[at++] = figure;
            }

            sums?.Take(Model.Team, first: part == 0);
        }

        sums?.Give(Model.Team);
        if (peers is null)
            return (Mean(figures), GradientNorm.Of(Model.Team, Model.Parameters));
        Model.AddParts();
        peers.Add(Model);
        return (Mean(peers.All(figures)), GradientNorm.Of(Merged(GradientNorm.Squares(Model.Team, Model.Parameters))));
    }

    /// <summary>Moves the weights by the gradients.</summary>
    public void Update(double rate, double norm)
    {
        Optimizer.Step(Model.Team, rate, GradientNorm.ClippingFactor(norm, options.Clip));
        Model.ValuesChanged();
    }

    /// <summary>The mean cross-entropy of windows with the weights as they are, in nats; on rank 0 and alone. NaN: they have no targets.</summary>
    /// <param name="batches">Of at most a pass's windows each.</param>
    public double HeldOutLoss(IReadOnlyList<WindowBatch> batches)
    {
        peers?.Order(new TrainingOrder { Kind = TrainingOrderKind.HeldOut, Batches = batches });
        var found = new double[batches.Count * 2];
        for (int first = 0; first < batches.Count; first += parts.Count)
        {
            foreach (int part in parts.Mine)
            {
                int i = first + part;
                // Ranks without windows of their own compute the others' rows.
                if (i >= batches.Count && peers is null)
                    continue;
                var losses = Model.Forward(i < batches.Count ? batches[i] : batches[0].Slice(0, 0));
                if (i < batches.Count)
                    (found[2 * i], found[2 * i + 1]) = (losses.CrossEntropy, losses.Targets);
            }
        }

        double[] all = peers?.All(found) ?? found;
        double sum = 0, targets = 0;
        for (int i = 0; i < batches.Count; i++)
        {
            int at = (peers is null ? 0 : i % parts.Count * found.Length) + 2 * i;
            (sum, targets) = (sum + all[at] * all[at + 1], targets + all[at + 1]);
        }

        return sum / targets;
    }

    /// <summary>On rank 0 values and means of all tensors are there afterwards.</summary>
    public void Gather()
    {
        peers?.Order(new TrainingOrder { Kind = TrainingOrderKind.Gather });
        peers?.Gather(Model.Parameters, Optimizer, TensorsOf);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        sums?.Dispose();
        Teacher?.Dispose();
        Optimizer.Dispose();
        Model.Dispose();
    }

    private float[]? Predictions(WindowBatch batch)
    {
        if (Teacher is null)
            return null;
        int length = checked(batch.Tokens * Model.Config.VocabSize);
        if (predictions.Length != length)
            predictions = new float[length];
        Teacher.Forward(batch, predictions);
        return predictions;
    }

    private IEnumerable<Parameter> TensorsOf(int rank) => Model.Parameters.All.Where(parameter => parameter.Expert is not { } expert || RankOf(expert) == rank);

    private int RankOf(int expert) => parts.Place(Model.Config.Moe!.Experts).RankOf[expert];

    // Of the tensors that only one rank has, that one's; the others are the same everywhere.
    private double[] Merged(double[] squares)
    {
        double[] all = peers!.All(squares);
        var set = Model.Parameters;
        return [.. squares.Select((own, i) => set.All[i].Expert is { } expert ? all[RankOf(expert) * squares.Length + i] : own)];
    }

    private static Losses Mean(double[] figures)
    {
        double cross = 0, balance = 0, z = 0;
        int targets = 0, passes = figures.Length / FiguresOfPass;
        for (int i = 0; i < figures.Length; i += FiguresOfPass)
            (cross, balance, z, targets) = (cross + figures[i], balance + figures[i + 1], z + figures[i + 2], targets + (int)figures[i + 3]);
        return new Losses(cross / passes, balance / passes, z / passes, targets);
    }
}
