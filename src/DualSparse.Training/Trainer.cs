using DualSparse.Kernels.Probe;
using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Models.Safetensors;
using DualSparse.Training.Checkpoints;
using DualSparse.Training.Data;
using DualSparse.Training.Optimisation;

namespace DualSparse.Training;

/// <summary>
/// Trains a model and keeps it in a folder: an ordinary checkpoint, with a folder <c>training</c> from which the run can be resumed after
/// anything, to the bit. Used by one thread at a time.
/// </summary>
public sealed unsafe class Trainer : IDisposable
{
    private readonly ThreadTeam team;
    private readonly TrainableModel model;
    private readonly AdamW optimizer;
    private readonly TrainingData data;
    private readonly TrainingFolder folder;
    private readonly TrainingCurve curve;
    private readonly LearningRate rates;
    private readonly StepClock clock;

    // What a checkpoint says again and again.
    private readonly TrainingState state;

    private int saved;
    private double? kernelRate;

    private Trainer(string output, ThreadTeam team, TrainableModel model, AdamW optimizer, TrainingData data, TrainingCurve curve, TrainingState state, TrainingFolder folder)
    {
        (Output, this.team, this.model, this.optimizer, this.data, this.curve, this.state, this.folder) = (output, team, model, optimizer, data, curve, state, folder);
        (Options, rates, Done, saved) = (state.Options, state.Options.Rates(), state.Step, state.Step);
        clock = new StepClock(state.Seconds);
        model.ValuesChanged();
    }

    /// <summary>The model's folder.</summary>
    public string Output { get; }

    /// <summary>How it trains: what was asked for, and what was chosen where nothing was.</summary>
    public TrainingOptions Options { get; }

    /// <summary>Steps made.</summary>
    public int Done { get; private set; }

    /// <summary>The steps made, in order.</summary>
    public IReadOnlyList<TrainingStep> Curve => curve.Steps;

    /// <summary>The name of the kernel that multiplies: a run is resumed with the same one.</summary>
    public string Kernel => model.Kernel;

    /// <summary>Windows of an epoch.</summary>
    internal int Windows => data.Windows;

    /// <summary>Windows that the held-out loss is measured on.</summary>
    internal int HeldOutWindows => data.HeldOutWindows;

    /// <summary>Begins a run with a new model, and writes its first checkpoint.</summary>
    /// <param name="config">The new model's config.json, of a family whose operators all have gradients.</param>
    /// <param name="tokenizer">A folder with tokenizer.json, or that file. A generation_config.json there goes along unless one lies beside the configuration.</param>
    /// <param name="texts">UTF-8 files; a line <c>&lt;|endoftext|&gt;</c> ends a document.</param>
    /// <param name="output">The folder to make; new or empty.</param>
    /// <param name="options">How it trains.</param>
    /// <param name="progress">Receives the share of the texts that is encoded.</param>
    /// <param name="cancel">Cancels the encoding.</param>
    /// <exception cref="ArgumentException">An option is out of its range, or a text too short.</exception>
    /// <exception cref="ModelFormatException">A file is missing, damaged or not followed; the tokenizer has ids beyond the vocabulary.</exception>
    /// <exception cref="NotSupportedException">An operator of the family has no gradient.</exception>
    /// <exception cref="IOException">The folder isn't empty, or writing failed.</exception>
    /// <exception cref="OutOfMemoryException">There is no room.</exception>
    public static Trainer Start(
        string config, string tokenizer, IReadOnlyList<string> texts, string output, TrainingOptions? options = null, IProgress<double>? progress = null, CancellationToken cancel = default)
    {
        if (Directory.Exists(config))
            config = Path.Combine(ModelPath.Resolve(config), ModelPath.Config);
        return Begin(config, tokenizer, null, texts, output, options ?? new TrainingOptions(), progress, cancel);
    }

    /// <summary>Begins a run that trains a model further, and writes its first checkpoint.</summary>
    /// <param name="model">The model's folder; nothing there changes.</param>
    /// <param name="texts">As for <see cref="Start"/>.</param>
    /// <param name="output">The folder to make; new or empty.</param>
    /// <param name="options">How it trains.</param>
    /// <param name="progress">Receives the share of the texts that is encoded.</param>
    /// <param name="cancel">Cancels the encoding.</param>
    /// <exception cref="ArgumentException">As for <see cref="Start"/>; so are the others.</exception>
    public static Trainer FineTune(
        string model, IReadOnlyList<string> texts, string output, TrainingOptions? options = null, IProgress<double>? progress = null, CancellationToken cancel = default)
    {
        model = ModelPath.Resolve(model);
        return Begin(Path.Combine(model, ModelPath.Config), model, model, texts, output, options ?? new TrainingOptions(), progress, cancel);
    }

    /// <summary>Goes on with a run from its newest checkpoint, as if it had never ended.</summary>
    /// <param name="output">The model's folder.</param>
    /// <param name="threads">Threads to compute on; null: as many as this process may use.</param>
    /// <param name="texts">Where the texts are now; null: where they were.</param>
    /// <param name="validation">Where the held-out texts are now; null: where they were.</param>
    /// <param name="progress">Receives the share of the texts that is encoded.</param>
    /// <param name="cancel">Cancels the encoding.</param>
    /// <exception cref="ModelFormatException">There is no run, its checkpoints are damaged, or what it was begun with has changed.</exception>
    /// <exception cref="InvalidOperationException">This process multiplies by another kernel.</exception>
    /// <exception cref="IOException">Another process trains there.</exception>
    /// <exception cref="OutOfMemoryException">There is no room.</exception>
    public static Trainer Resume(
        string output, int? threads = null, IReadOnlyList<string>? texts = null, IReadOnlyList<string>? validation = null, IProgress<double>? progress = null, CancellationToken cancel = default)
    {
        output = Path.TrimEndingDirectorySeparator(Path.GetFullPath(output));
        var folder = TrainingFolder.Open(output);
        ThreadTeam? team = null;
        TrainableModel? model = null;
        AdamW? optimizer = null;
        try
        {
            var (state, setup, found) = ResumedRun.Find(output, folder);
            team = new ThreadTeam(threads ?? ThreadTeam.Available);
            model = new TrainableModel(setup.Config, team, RunSetup.Products(state.Options.Products));
            ResumedRun.RequireKernel(output, state.Kernel, model.Kernel);
            optimizer = NewOptimizer(model, state.Options);
            (state, var curve) = found.Load(model.Parameters, optimizer);
            var data = Read(state.Options, setup, texts ?? Paths(state.Texts), validation ?? Paths(state.Validation), team, progress, cancel, state);
            return new Trainer(output, team, model, optimizer, data.Data, curve, state, folder);
        }
        catch
        {
            optimizer?.Dispose();
            model?.Dispose();
            team?.Dispose();
            folder.Dispose();
            throw;
        }
    }

    /// <summary>Makes a step; measures the held-out loss and writes a checkpoint where the options ask for it.</summary>
    /// <returns>How it went; null: the run has all its steps.</returns>
    /// <exception cref="ArithmeticException">The loss or the gradient is no number any more. No weight has changed, and the last checkpoint is as it was.</exception>
    /// <exception cref="IOException">A checkpoint could not be written; the last one is as it was, and <see cref="Save"/> may be tried again.</exception>
    public TrainingStep? Step()
    {
        if (Done == Options.Steps)
            return null;
        clock.Start();
        var set = model.Parameters;
        set.ClearGradients();
        var losses = default(Losses);
        int together = Options.Windows / Options.Accumulation;
        double operations = 0;
        for (int pass = 0; pass < Options.Accumulation; pass++)
        {
            var batch = data.Batch((long)Done * Options.Windows + pass * together, together);
            var part = model.Backward(batch, Options.Coefficients(), 1f / Options.Accumulation);
            operations += kernelRate is null ? 0 : model.Operations(batch);
            losses = new Losses(losses.CrossEntropy + part.CrossEntropy, losses.Balance + part.Balance, losses.RouterZ + part.RouterZ, losses.Targets + part.Targets);
        }

        losses = losses with { CrossEntropy = losses.CrossEntropy / Options.Accumulation, Balance = losses.Balance / Options.Accumulation, RouterZ = losses.RouterZ / Options.Accumulation };
        double norm = GradientNorm.Of(team, set.Gradients, set.Length);
        RequireNumbers(losses, norm);
        double rate = rates.At(Done);
        optimizer.Step(team, rate, GradientNorm.ClippingFactor(norm, Options.Clip));
        model.ValuesChanged();
        Done++;
        double seconds = clock.EndStep();
        bool measures = Options.ValidationSteps > 0 && data.HeldOutWindows > 0 && (Done % Options.ValidationSteps == 0 || Done == Options.Steps);
        var step = new TrainingStep
        {
            Step = Done,
            Steps = Options.Steps!.Value,
            Tokens = (long)Done * Options.BatchTokens!.Value,
            Loss = losses.CrossEntropy,
            Balance = losses.Balance,
            RouterZ = losses.RouterZ,
            GradientNorm = norm,
            LearningRate = rate,
            HeldOutLoss = measures ? HeldOutLoss() : null,
            TokensPerSecond = Options.BatchTokens.Value / seconds,
            ShareOfRate = kernelRate is { } best ? operations / seconds / best : null,
            Seconds = clock.Seconds,
            Remaining = clock.Remaining(Options.Steps.Value - Done),
        };
        curve.Add(step);
        if (Options.CheckpointSteps > 0 && Done % Options.CheckpointSteps == 0 || clock.SinceSave > Options.CheckpointSeconds)
            Save();
        return step;
    }

    /// <summary>Writes a checkpoint of the run as it is, and the model's weights, unless that has been done since the last step.</summary>
    /// <exception cref="IOException">Writing failed, say because the disk is full: the last checkpoint is as it was, and the run goes on where it stands.</exception>
    public void Save()
    {
        if (saved == Done)
            return;
        folder.Write(State(), model.Parameters, optimizer, curve);
        saved = Done;
        clock.Saved();
        ModelFiles.WriteWeights(Output, model.Parameters, Options.Weights);
    }

    /// <summary>Writes the run's last checkpoint and the model's weights as they are now.</summary>
    /// <exception cref="IOException">Writing failed, as for <see cref="Save"/>.</exception>
    public void Finish()
    {
        bool written = saved != Done;
        Save();
        if (written)
            return;
        // A process that ended after its last checkpoint left older weights, or an older curve beside them.
        curve.Write(folder.CurveFile);
        ModelFiles.WriteWeights(Output, model.Parameters, Options.Weights);
    }

    /// <summary>Mean cross-entropy of the held-out windows with the weights as they are, in nats.</summary>
    /// <exception cref="InvalidOperationException">There are none.</exception>
    public double HeldOutLoss()
    {
        double sum = 0;
        long targets = 0;
        foreach (var batch in data.HeldOut(Options.Windows / Options.Accumulation))
        {
            var losses = model.Forward(batch);
            (sum, targets) = (sum + losses.CrossEntropy * losses.Targets, targets + losses.Targets);
        }

        return targets > 0 ? sum / targets : throw new InvalidOperationException("no windows are held out");
    }

    /// <summary>Measures what the kernel reaches on a product of 1024 by 1024 by 1024, so that steps can say what share of that they reach.</summary>
    /// <returns>Operations a second.</returns>
    public double MeasureRate() => (kernelRate = ProductProbe.OperationsPerSecond(team, model.Arithmetic.Kernel)).Value;

    /// <summary>Frees the memory. What wasn't saved is lost.</summary>
    public void Dispose()
    {
        folder.Dispose();
        optimizer.Dispose();
        model.Dispose();
        team.Dispose();
    }

    private static Trainer Begin(
        string config, string tokenizer, string? init, IReadOnlyList<string> texts, string output, TrainingOptions options, IProgress<double>? progress, CancellationToken cancel)
    {
        options.Check();
        if (texts.Count == 0)
            throw new ArgumentException("there is no text to train on: name at least one file");
        output = CheckpointFolder.Free(output);
        string? generation = ModelFiles.GenerationFile(config, tokenizer);
        var setup = RunSetup.Read(config, generation, tokenizer);
        options = options.For(setup.Config, setup.Balance, init is not null);
        using var checkpoint = init is null ? null : Checkpoint.Open(init);
        var team = new ThreadTeam(options.Threads ?? ThreadTeam.Available);
        TrainableModel? model = null;
        AdamW? optimizer = null;
        try
        {
            var (data, text, heldOut) = Read(options, setup, texts, options.Validation, team, progress, cancel, null);
            options = options.Over(data.Windows);
            model = new TrainableModel(setup.Config, team, RunSetup.Products(options.Products));
            if (checkpoint is null)
                Initialisation.Fill(model.Parameters, setup.Config, setup.Deviation, options.Seed, team);
            else
                model.Parameters.Load(checkpoint);
            optimizer = NewOptimizer(model, options);
            var curve = new TrainingCurve();
            TrainingState state = null!;
            CheckpointFolder.Make(output, folder =>
            {
                ModelFiles.Copy(config, tokenizer, options.Weights, folder);
                ModelFiles.WriteWeights(folder, model.Parameters, options.Weights);
                state = new TrainingState
                {
                    Step = 0,
                    Windows = 0,
                    Seconds = 0,
                    Options = options,
                    Kernel = model.Kernel,
                    Config = ModelFiles.ConfigHash(folder),
                    Tokenizer = ModelFiles.TokenizerHash(folder),
                    Texts = text.Files,
                    Validation = heldOut?.Files ?? [],
                    CheckSums = [],
                };
                TrainingFolder.Begin(folder, state, model.Parameters, optimizer, curve);
            });
            return new Trainer(output, team, model, optimizer, data, curve, state, TrainingFolder.Open(output));
        }
        catch
        {
            optimizer?.Dispose();
            model?.Dispose();
            team.Dispose();
            throw;
        }
    }

    // Texts that were changed are refused once they are read: only then their hashes are known.
    private static (TrainingData Data, TokenStream Text, TokenStream? HeldOut) Read(
        TrainingOptions options, RunSetup setup, IReadOnlyList<string> texts, IReadOnlyList<string> validation, ThreadTeam team, IProgress<double>? progress, CancellationToken cancel, TrainingState? before)
    {
        if (before is not null)
            ResumedRun.RequireLengths(before, texts, validation);
        var text = TokenStream.Encode(texts, setup.Tokenizer, setup.Separator, team, progress, cancel);
        var heldOut = validation.Count == 0 ? null : TokenStream.Encode(validation, setup.Tokenizer, setup.Separator, team, null, cancel);
        if (before is not null)
            ResumedRun.RequireTexts(before, text.Files, heldOut?.Files ?? []);
        int context = options.Context!.Value;
        return (new TrainingData(text, heldOut, options.ValidationShare, options.ValidationTokens / context, context, options.Seed), text, heldOut);
    }

    private static AdamW NewOptimizer(TrainableModel model, TrainingOptions options) =>
        new(model.Parameters, new AdamWOptions { Beta1 = options.Beta1, Beta2 = options.Beta2, Epsilon = options.Epsilon, WeightDecay = options.WeightDecay });

    private static string[] Paths(IReadOnlyList<TextFileFacts> files) => [.. files.Select(file => file.Path)];

    private TrainingState State() => state with { Step = Done, Windows = (long)Done * Options.Windows, Seconds = clock.Seconds };

    private void RequireNumbers(Losses losses, double norm)
    {
        double total = losses.Total(Options.Coefficients());
        if (double.IsFinite(total) && double.IsFinite(norm))
            return;
        string what = double.IsFinite(total) ? $"the gradient's norm is {norm}" : $"the loss is {total}";
        throw new ArithmeticException(
            $"step {Done + 1}: {what}, so the step isn't made; the checkpoint of step {Math.Max(saved, 0)} in {Output} is as it was: a lower learning rate, a longer warm-up or products in f32 may help");
    }
}
