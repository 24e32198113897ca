using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Models.Safetensors;
using DualSparse.Training.Checkpoints;
using DualSparse.Training.Data;
using DualSparse.Training.Ranks;

namespace DualSparse.Training;

/// <summary>How a <see cref="Trainer"/> begins: with a new model, one that is trained further, or a run that goes on.</summary>
internal sealed class TrainingStart
{
    /// <summary>Receives the share of the texts that is encoded.</summary>
    public IProgress<double>? Progress { get; init; }

    /// <summary>Cancels the encoding.</summary>
    public CancellationToken Cancel { get; init; }

    /// <summary>The ranks, of which this is the first; null: this process computes all.</summary>
    public TrainingPeers? Peers { get; init; }

    /// <summary>Begins a run, and writes its first checkpoint.</summary>
    /// <param name="config">A config.json, or its folder.</param>
    /// <param name="tokenizer">A tokenizer's folder or tokenizer.json.</param>
    /// <param name="init">The folder of the model whose values are trained further; null: a new model.</param>
    /// <param name="texts">UTF-8 files.</param>
    /// <param name="output">The folder to make.</param>
    /// <param name="options">How it trains.</param>
    /// <exception cref="ArgumentException">As for <see cref="Trainer.Start"/>; so are the others.</exception>
    public Trainer Begin(string config, string tokenizer, string? init, IReadOnlyList<string> texts, string output, TrainingOptions options)
    {
        if (Peers is not null && options.Parts != 1 && options.Parts != Peers.Group.Size)
            throw new ArgumentException($"the number of parts is {options.Parts}, expected that of the ranks, {Peers.Group.Size}: each computes one");
        options = options with { Parts = Peers?.Group.Size ?? options.Parts };
        options.Check();
        if (texts.Count == 0)
            throw new ArgumentException("there is no text to train on: name at least one file");
        if (Directory.Exists(config))
            config = Path.Combine(ModelPath.Resolve(config), ModelPath.Config);
        output = CheckpointFolder.Free(output);
        string? generation = ModelFiles.GenerationFile(config, tokenizer);
        var setup = RunSetup.Read(config, generation, tokenizer);
        options = options.For(setup.Config, setup.Balance, init is not null);
        using var checkpoint = init is null ? null : Checkpoint.Open(init);
        var team = new ThreadTeam(options.Threads ?? ThreadTeam.Available);
        Learner? learner = null;
        try
        {
            var (data, text, heldOut) = Read(options, setup, texts, options.Validation, team, null);
            options = options.Over(data.Windows);
            learner = New(setup.Config, options, team);
            Teach(learner, options, team);
            if (checkpoint is null)
                Initialisation.Fill(learner.Model.Parameters, setup.Config, setup.Deviation, options.Seed, team);
            else
                learner.Model.Parameters.Load(checkpoint);
            var curve = new TrainingCurve();
            TrainingState state = null!;
            CheckpointFolder.Make(output, folder =>
            {
                ModelFiles.Copy(config, tokenizer, options.Weights, folder);
                ModelFiles.WriteWeights(folder, learner.Model.Parameters, options.Weights);
                state = new TrainingState
                {
                    Step = 0,
                    Windows = 0,
                    Seconds = 0,
                    Options = options,
                    Kernel = learner.Model.Kernel,
                    Config = ModelFiles.ConfigHash(folder),
                    Tokenizer = ModelFiles.TokenizerHash(folder),
                    Texts = text.Files,
                    Validation = heldOut?.Files ?? [],
                    CheckSums = [],
                };
                TrainingFolder.Begin(folder, state, learner.Model.Parameters, learner.Optimizer, curve);
            });
            return Ready(output, team, learner, data, curve, state, TrainingFolder.Open(output));
        }
        catch
        {
            learner?.Dispose();
            team.Dispose();
            throw;
        }
    }

    /// <summary>Begins a run that trains a model further.</summary>
    /// <param name="model">The model's folder.</param>
    /// <param name="texts">UTF-8 files.</param>
    /// <param name="output">The folder to make.</param>
    /// <param name="options">How it trains.</param>
    public Trainer BeginFrom(string model, IReadOnlyList<string> texts, string output, TrainingOptions options)
    {
        model = ModelPath.Resolve(model);
        return Begin(Path.Combine(model, ModelPath.Config), model, model, texts, output, options);
    }

    /// <summary>Goes on with a run.</summary>
    /// <param name="output">The model's folder.</param>
    /// <param name="threads">Threads; null: as many as this process may use.</param>
    /// <param name="texts">Where the texts are now; null: where they were.</param>
    /// <param name="validation">Where the held-out texts are now; null: where they were.</param>
    /// <exception cref="ModelFormatException">As for <see cref="Trainer.Resume"/>; so are the others.</exception>
    /// <exception cref="ArgumentException">The run has other parts than there are ranks.</exception>
    public Trainer Resume(string output, int? threads, IReadOnlyList<string>? texts, IReadOnlyList<string>? validation)
    {
        output = Path.TrimEndingDirectorySeparator(Path.GetFullPath(output));
        var folder = TrainingFolder.Open(output);
        ThreadTeam? team = null;
        Learner? learner = null;
        try
        {
            var (state, setup, found) = ResumedRun.Find(output, folder);
            if (Peers is not null && state.Options.Parts != Peers.Group.Size)
                throw new ArgumentException($"{output}: the run has {state.Options.Parts} parts a step, so --ranks {state.Options.Parts} or one process can go on with it to the bit, and not {Peers.Group.Size} ranks");
            team = new ThreadTeam(threads ?? ThreadTeam.Available);
            learner = New(setup.Config, state.Options, team);
            Teach(learner, state.Options, team);
            ResumedRun.RequireKernel(output, state.Kernel, learner.Model.Kernel);
            (state, var curve) = found.Load(learner.Model.Parameters, learner.Optimizer);
            var data = Read(state.Options, setup, texts ?? Paths(state.Texts), validation ?? Paths(state.Validation), team, state);
            return Ready(output, team, learner, data.Data, curve, state, folder);
        }
        catch
        {
            learner?.Dispose();
            team?.Dispose();
            folder.Dispose();
            throw;
        }
    }

    private Learner New(ModelConfig config, TrainingOptions options, ThreadTeam team) =>
        new(config, options, team, new TrainingParts(options.Parts, Peers?.Group), Peers);

    private void Teach(Learner learner, TrainingOptions options, ThreadTeam team)
    {
        if (options.Teacher is null)
            return;
        if (Peers is not null)
            throw new ArgumentException("a teacher's predictions are learned in one process: leave out --ranks");
        using var checkpoint = Checkpoint.Open(options.Teacher);
        int size = learner.Model.Config.VocabSize;
        if (checkpoint.Config.VocabSize != size)
            throw new ArgumentException($"{options.Teacher}: the teacher's vocabulary has {checkpoint.Config.VocabSize} ids, expected the model's {size}");
        learner.Teacher = new TrainableModel(checkpoint.Config, team, RunSetup.Products(options.Products));
        learner.Teacher.Parameters.Load(checkpoint);
    }

    private static Trainer Ready(string output, ThreadTeam team, Learner learner, TrainingData data, TrainingCurve curve, TrainingState state, TrainingFolder folder)
    {
        learner.Meet(ModelFile.Read(Path.Combine(output, ModelPath.Config), ModelConfig.MaxConfigBytes));
        return new Trainer(output, team, learner, data, curve, state, folder);
    }

    // Texts that were changed are refused once they are read: only then their hashes are known.
    private (TrainingData Data, IWindows Text, IWindows? HeldOut) Read(
        TrainingOptions options, RunSetup setup, IReadOnlyList<string> texts, IReadOnlyList<string> validation, ThreadTeam team, TrainingState? before)
    {
        if (before is not null)
            ResumedRun.RequireLengths(before, texts, validation);
        int context = options.Context!.Value;
        bool pictures = HavePictures(texts);
        if (validation.Count > 0 && HavePictures(validation) != pictures)
            throw new ArgumentException($"{validation[0]}: expected the held-out text to have pictures where the text has them, and none where it has none");
        if (pictures && Peers is not null)
            throw new ArgumentException("pictures are learned in one process: leave out --ranks");
        var text = Windows(texts, "text", Progress);
        var heldOut = validation.Count == 0 ? null : Windows(validation, "held-out text", null);
        if (before is not null)
            ResumedRun.RequireTexts(before, text.Files, heldOut?.Files ?? []);
        return (new TrainingData(text, heldOut, options.ValidationShare, options.ValidationTokens / context, options.Seed), text, heldOut);

        IWindows Windows(IReadOnlyList<string> files, string name, IProgress<double>? progress) => pictures
            ? PictureWindows.Read(files, setup, context, team, progress, Cancel)
            : new TextWindows(TokenStream.Encode(files, setup.Tokenizer, setup.Separator, team, progress, Cancel), context, name);
    }

    // Whether the files are lines with pictures; a run reads such ones, or texts.
    private static bool HavePictures(IReadOnlyList<string> files)
    {
        bool[] lines = [.. files.Select(file => file.EndsWith(PictureWindows.Extension, StringComparison.OrdinalIgnoreCase))];
        return lines.Distinct().Count() == 1
            ? lines[0]
            : throw new ArgumentException($"{files[Array.IndexOf(lines, true)]} has pictures and {files[Array.IndexOf(lines, false)]} is a text: a run reads one or the other");
    }

    private static string[] Paths(IReadOnlyList<TextFileFacts> files) => [.. files.Select(file => file.Path)];
}
