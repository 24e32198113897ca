using DualSparse.Kernels.Probe;
using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Training.Checkpoints;
using DualSparse.Training.Data;
using DualSparse.Training.Optimisation;

namespace DualSparse.Training;

/// <summary>
/// Trains a model and keeps it in a folder: an ordinary checkpoint, with a folder <c>training</c> from which the run can be resumed after
/// anything, to the bit. Used by one thread at a time.
/// </summary>
public sealed class Trainer : IDisposable
{
    private readonly ThreadTeam team;
    private readonly Learner learner;
    private readonly TrainingData data;
    private readonly TrainingFolder folder;
    private readonly TrainingCurve curve;
    private readonly LearningRate rates;
    private readonly StepClock clock;

    // What a checkpoint says again and again.
    private readonly TrainingState state;

    private double? kernelRate;

    internal Trainer(string output, ThreadTeam team, Learner learner, TrainingData data, TrainingCurve curve, TrainingState state, TrainingFolder folder)
    {
        (Output, this.team, this.learner, this.data, this.curve, this.state, this.folder) = (output, team, learner, data, curve, state, folder);
        (Options, rates, Done, Saved) = (state.Options, state.Options.Rates(), state.Step, state.Step);
        clock = new StepClock(state.Seconds);
    }

    /// <summary>The model's folder.</summary>
    public string Output { get; }

    /// <summary>How it trains: what was asked for, and what was chosen where nothing was.</summary>
    public TrainingOptions Options { get; }

    /// <summary>Steps made.</summary>
    public int Done { get; private set; }

    /// <summary>Steps of the last checkpoint.</summary>
    internal int Saved { get; private set; }

    /// <summary>The steps made, in order.</summary>
    public IReadOnlyList<TrainingStep> Curve => curve.Steps;

    /// <summary>The name of the kernel that multiplies: a run is resumed with the same one.</summary>
    public string Kernel => learner.Model.Kernel;

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
        string config, string tokenizer, IReadOnlyList<string> texts, string output, TrainingOptions? options = null, IProgress<double>? progress = null, CancellationToken cancel = default) =>
        new TrainingStart { Progress = progress, Cancel = cancel }.Begin(config, tokenizer, null, texts, output, options ?? new TrainingOptions());

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
        return new TrainingStart { Progress = progress, Cancel = cancel }.BeginFrom(model, texts, output, options ?? new TrainingOptions());
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
        return new TrainingStart { Progress = progress, Cancel = cancel }.Resume(output, threads, texts, validation);
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
        double rate = rates.At(Done);
        var batch = data.Batch((long)Done * Options.Windows, Options.Windows);
        var (losses, norm) = learner.Gradients(batch, rate);
        RequireNumbers(losses, norm);
        learner.Update(rate, norm);
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
            ShareOfRate = learner.Model.Operations(batch) / seconds / kernelRate,
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
        if (Saved == Done)
            return;
        learner.Gather();
        folder.Write(State(), learner.Model.Parameters, learner.Optimizer, curve);
        Saved = Done;
        clock.Saved();
        ModelFiles.WriteWeights(Output, learner.Model.Parameters, Options.Weights);
    }

    /// <summary>Writes the run's last checkpoint and the model's weights as they are now.</summary>
    /// <exception cref="IOException">Writing failed, as for <see cref="Save"/>.</exception>
    public void Finish()
    {
        bool written = Saved != Done;
        Save();
        if (written)
            return;
        // A process that ended after its last checkpoint left older weights, or an older curve beside them.
        curve.Write(folder.CurveFile);
        ModelFiles.WriteWeights(Output, learner.Model.Parameters, Options.Weights);
    }

    /// <summary>Mean cross-entropy of the held-out windows with the weights as they are, in nats.</summary>
    /// <exception cref="InvalidOperationException">There are none.</exception>
    public double HeldOutLoss()
    {
        double loss = learner.HeldOutLoss([.. data.HeldOut(Options.Windows / Options.Accumulation / Options.Parts)]);
        return data.HeldOutWindows > 0 ? loss : throw new InvalidOperationException("no windows are held out");
    }

    /// <summary>Measures what the kernel reaches on a product of 1024 by 1024 by 1024, so that steps can say what share of that they reach.</summary>
    /// <returns>Operations a second; of several ranks, as many times what the first reaches.</returns>
    public double MeasureRate() => (kernelRate = learner.Processes * ProductProbe.OperationsPerSecond(team, learner.Model.Arithmetic.Kernel)).Value;

    /// <summary>Frees the memory. What wasn't saved is lost.</summary>
    public void Dispose()
    {
        folder.Dispose();
        learner.Dispose();
        team.Dispose();
    }

    private TrainingState State() => state with { Step = Done, Windows = (long)Done * Options.Windows, Seconds = clock.Seconds };

    private void RequireNumbers(Losses losses, double norm)
    {
        double total = losses.Total(Options.Coefficients());
        if (double.IsFinite(total) && double.IsFinite(norm))
            return;
        string what = double.IsFinite(total) ? $"the gradient's norm is {norm}" : $"the loss is {total}";
        throw new ArithmeticException(
            $"step {Done + 1}: {what}, so the step isn't made; the checkpoint of step {Math.Max(Saved, 0)} in {Output} is as it was: a lower learning rate, a longer warm-up or products in f32 may help");
    }
}
