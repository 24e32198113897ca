using System.CommandLine;
using DualSparse.Cli.Hosting;
using DualSparse.Distributed.Mpi;
using DualSparse.Kernels.Threading;
using DualSparse.Training;
using DualSparse.Training.Ranks;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse train</c>: a new model, one that is trained further, or a run that goes on.</summary>
internal static class TrainCommand
{
    private static readonly Option<string?> s_config = new("--config") { Description = "Train a new model of this config.json.", HelpName = "file" };
    private static readonly Option<string?> s_tokenizer = new("--tokenizer") { Description = "With --config: the folder of the tokenizer, or its tokenizer.json.", HelpName = "folder" };
    private static readonly Option<string?> s_init = new("--init") { Description = "Train this model further; its folder stays as it is.", HelpName = "model" };
    private static readonly Option<string?> s_resume = new("--resume") { Description = "Go on with the run in this folder, from its last checkpoint.", HelpName = "folder" };
    private static readonly Option<string[]> s_text = new("--text") { Description = "The texts to train on, UTF-8; a line <|endoftext|> ends a document. Files .jsonl hold pictures and what is said of them.", HelpName = "file", AllowMultipleArgumentsPerToken = true };
    private static readonly Option<string[]> s_validation = new("--validation") { Description = "Texts to measure the held-out loss on. [default: the last part of the text]", HelpName = "file", AllowMultipleArgumentsPerToken = true };
    private static readonly Option<string?> s_teacher = new("--teacher") { Description = "Learn this model's predictions, by KL divergence, instead of the texts' next tokens.", HelpName = "model" };
    private static readonly Option<string?> s_output = new("--output", "-o") { Description = "The folder to write to; it must be new or empty.", HelpName = "folder" };
    private static readonly Option<int?> s_threads = NumberOption.Create<int>("--threads", "Threads to compute on; they change no bit of the result. [default: as many as this process may use]", "-t");
    private static readonly Option<bool> s_json = new("--json") { Description = "Write the results as JSON." };

    public static Command Create()
    {
        var command = new Command("train", "Trains a model on text, a new one or one that there is.");
        foreach (var option in new Option[] { s_config, s_tokenizer, s_init, s_resume, s_text, s_validation, s_teacher, s_output })
            command.Options.Add(option);
        var arguments = new TrainArguments(command);
        command.Options.Add(s_threads);
        command.Options.Add(s_json);
        var ranks = new RankArguments(command, model: false);
        var check = new CheckArguments(command, s_threads.Name, s_json.Name);
        command.SetAction(parsed =>
        {
            if (check.Given(parsed))
                return check.Run(parsed, parsed.GetValue(s_threads), parsed.GetValue(s_json));
            Check(parsed, arguments);
            return ranks.Run(
                parsed, group => TrainingRanks.Run(group, Threads(parsed)!.Value, peers => Run(parsed, arguments, peers)), alone: () => Run(parsed, arguments, peers: null));
        });
        return command;
    }

    // Of ranks on one machine each has its share of the cores.
    private static int? Threads(ParseResult parsed) =>
        parsed.GetValue(s_threads) ?? (MpiLaunch.Current is { Size: > 1 } launch ? Math.Max(1, ThreadTeam.Available / launch.LocalSize) : null);

    private static int Run(ParseResult parsed, TrainArguments arguments, TrainingPeers? peers) =>
        Run(parsed.InvocationConfiguration, parsed.GetValue(s_json), peers, start => Begin(parsed, arguments, start));

    /// <summary>Makes a run's steps to its end, or until it is interrupted.</summary>
    /// <param name="streams">Receives what it says.</param>
    /// <param name="json">Whether the results are JSON.</param>
    /// <param name="peers">The other ranks; null: there is none.</param>
    /// <param name="begin">Begins the run.</param>
    public static int Run(InvocationConfiguration streams, bool json, TrainingPeers? peers, Func<TrainingStart, Trainer> begin)
    {
        using var interrupt = new Interrupt();
        using var trainer = ProgressBars.Show(streams.Error, bars => begin(new TrainingStart { Progress = bars?.Stage("reading text"), Cancel = interrupt.Token, Peers = peers }));
        var output = new TrainOutput(streams, trainer, trainer.MeasureRate());
        try
        {
            while (!interrupt.Token.IsCancellationRequested && trainer.Step() is { } step)
                output.Show(step);
            if (trainer.Done < trainer.Options.Steps && peers is not null)
            {
                // The launcher ends the other ranks meanwhile, so that no checkpoint can be gathered from them.
                Tell(output, trainer, trainer.Saved);
                throw new OperationCanceledException();
            }

            if (trainer.Done < trainer.Options.Steps)
                trainer.Save();
            else
                trainer.Finish();
        }
        catch (IOException e)
        {
            throw new IOException($"{e.Message.TrimEnd('.')}; what was written before is whole, and '{Resume(trainer)}' goes on from there once there is room", e);
        }

        if (trainer.Done < trainer.Options.Steps)
        {
            Tell(output, trainer, trainer.Done);
            return CommandHost.Interrupted;
        }

        output.End(json);
        return 0;
    }

    private static void Tell(TrainOutput output, Trainer trainer, int step) => output.Interrupted($"a checkpoint of step {step} is written; '{Resume(trainer)}' goes on from there");

    private static string Resume(Trainer trainer) => $"{SparsifyCommand.Program()} train --resume {trainer.Output}";

    // What the options say together, before a file is read.
    private static void Check(ParseResult parsed, TrainArguments arguments)
    {
        string? config = parsed.GetValue(s_config), init = parsed.GetValue(s_init), resume = parsed.GetValue(s_resume);
        string[] ways = [.. new[] { (s_config.Name, config), (s_init.Name, init), (s_resume.Name, resume) }.Where(way => way.Item2 is not null).Select(way => way.Name)];
        if (ways is not [var way])
        {
            throw new ArgumentException(ways is [var one, var other, ..]
                ? $"{one} and {other} are two ways to begin: give one of them"
                : "there is nothing to train: --config FILE makes a new model, --init MODEL trains one further, --resume FOLDER goes on with a run");
        }

        bool resumes = way == s_resume.Name;
        if (resumes && (arguments.Given(parsed) ?? (parsed.GetValue(s_output) is null ? null : s_output.Name)) is { } fixedOption)
            throw new ArgumentException($"{fixedOption} can't be given with --resume: the run goes on as it was begun");
        if (!resumes && parsed.GetValue(s_output) is null)
            throw new ArgumentException("--output is missing: name the folder to write to");
        if (!resumes && parsed.GetValue(s_text) is not [_, ..])
            throw new ArgumentException("--text is missing: name the files to train on");
        if (config is not null && parsed.GetValue(s_tokenizer) is null)
            throw new ArgumentException("--tokenizer is missing: --config says nothing of one");
        if (resumes && parsed.GetValue(s_teacher) is not null)
            throw new ArgumentException($"{s_teacher.Name} can't be given with --resume: the run goes on as it was begun");
        if (config is null && parsed.GetValue(s_tokenizer) is not null)
            throw new ArgumentException($"--tokenizer can't be given with {way}: the model has its own");
    }

    private static Trainer Begin(ParseResult parsed, TrainArguments arguments, TrainingStart start)
    {
        string[] texts = parsed.GetValue(s_text) ?? [], validation = parsed.GetValue(s_validation) ?? [];
        int? threads = parsed.GetValue(s_threads);
        if (parsed.GetValue(s_resume) is { } run)
        {
            new TrainingOptions { Threads = threads }.Check();
            return start.Resume(run, Threads(parsed), texts is [] ? null : texts, validation is [] ? null : validation);
        }

        var options = arguments.Options(parsed) with { Threads = Threads(parsed), Validation = [.. validation.Select(Path.GetFullPath)], Teacher = parsed.GetValue(s_teacher) is { } teacher ? ModelFolder.Find(teacher) : null };
        string output = parsed.GetValue(s_output)!;
        return parsed.GetValue(s_init) is { } model
            ? start.BeginFrom(ModelFolder.Find(model), texts, output, options)
            : start.Begin(parsed.GetValue(s_config)!, parsed.GetValue(s_tokenizer)!, null, texts, output, options);
    }
}
