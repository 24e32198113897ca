using System.CommandLine;
using DualSparse.Cli.Hosting;
using DualSparse.Distributed;
using DualSparse.Engine;
using DualSparse.Evaluation;
using DualSparse.Evaluation.Tasks;
using DualSparse.Models;
using DualSparse.Models.Text;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse eval</c>: loss on texts and accuracy on tasks, and what a drop does to them.</summary>
internal static class EvalCommand
{
    private const int DefaultWindows = 48, DefaultContext = 512;

    public static Command Create()
    {
        var command = new Command("eval", "Measures a model on texts and tasks, and what a drop costs there.");
        var folder = new ModelArgument(command, positional: true);
        var text = new TextFilesOption("--text", "Measure the loss on these texts, each cut into windows; - reads standard input.");
        var bos = new Option<bool>("--bos") { Description = "Begin each window of text with the model's opening token, as it begins a prompt. [default: windows of text alone]" };
        var ids = new Option<string?>("--ids") { Description = "Windows as ids: a safetensors file's NAME.input_ids and NAME.targets.", HelpName = "file" };
        var context = NumberOption.Create<int>("--context", $"Tokens in a window of text; a longer task item keeps that many of its last. [default: {DefaultContext}, or the model's context where that is less]");
        var windows = NumberOption.Create<int>("--windows", $"Windows of each text at most. [default: {DefaultWindows}]");
        var tasks = new Option<string?>("--tasks") { Description = $"Tasks: all, or some of {string.Join(',', TaskFile.Names)}, or names of other files of queries with choices.", HelpName = "names" };
        var data = new Option<string?>("--data") { Description = "The folder of the tasks' files, TASK.jsonl or TASK.jsonl.xz.", HelpName = "folder" };
        var limit = NumberOption.Create<int>("--limit", "Rows of each task at most. [default: all]");
        var json = new Option<bool>("--json") { Description = "Write JSON." };
        var mark = new Option<string[]>("--mark") { Description = "Mark the rows of these of the texts, as of an image, and run all texts mixed.", HelpName = "file", AllowMultipleArgumentsPerToken = true };
        var share = NumberOption.Create<double>("--mark-share", "The share of marked windows. [default: as the texts have them]");
        var together = NumberOption.Create<int>("--together", "With --balance: windows of each rank in a pass, on whose rows a row then depends. [default: 1]");
        var asRanks = NumberOption.Create<int>("--as-ranks", "Compute in this process what so many ranks would.");
        text.AddTo(command);
        foreach (Option option in new Option[] { ids, context, windows, bos, tasks, data, limit, mark, share, together, asRanks, json })
            command.Options.Add(option);
        var engine = new EngineArguments(command);
        var drop = new DropArguments(command);
        var sweep = new SweepArguments(command);
        var ranks = new RankArguments(command);
        command.SetAction(parsed =>
        {
            var (files, path) = text.FilesAndModel(parsed, folder);
            var (idFile, taskList) = (parsed.GetValue(ids), parsed.GetValue(tasks));
            if (files.Length == 0 && idFile is null && taskList is null)
                throw new ArgumentException("there is nothing to measure on: give --text FILE, --ids FILE or --tasks NAMES --data FOLDER");
            if (taskList is not null && parsed.GetValue(data) is null)
                throw new ArgumentException("--tasks needs --data, the folder of the tasks' files");
            if (taskList is null && (parsed.GetValue(data) is not null || parsed.GetValue(limit) is not null))
                throw new ArgumentException("--data and --limit go with --tasks");
            int most = parsed.GetValue(windows) ?? DefaultWindows;
            if (most < 1)
                throw new ArgumentException($"--windows is {most}, expected at least 1");
            if (parsed.GetValue(context) is < 1 and var given)
                throw new ArgumentException($"--context is {given}, expected at least 1");
            var rule = drop.Request(parsed);
            if (rule.Generated is not null)
                throw new ArgumentException("--drop-generation has no meaning here: no text is generated");
            if (parsed.GetValue(bos) && files.Length == 0)
                throw new ArgumentException("--bos goes with --text");

            string[] marked = parsed.GetValue(mark) ?? [];
            if (marked.Length == 0 && parsed.GetValue(share) is not null)
                throw new ArgumentException("--mark-share goes with --mark");
            if (marked.FirstOrDefault(name => !files.Contains(name)) is { } other)
                throw new ArgumentException($"--mark names {other}, which is none of the texts of --text");
            if (parsed.GetValue(share) is { } part && !(part is >= 0 and <= 1))
                throw new ArgumentException($"--mark-share is {part}, expected 0 to 1");
            if (parsed.GetValue(together) is < 1 and var few)
                throw new ArgumentException($"--together is {few}, expected at least 1");
            if (parsed.GetValue(together) is not null && ranks.Balance(parsed) is null)
                throw new ArgumentException("--together goes with --balance");

            path = ModelFolder.Find(path);
            // Windows of ids need none.
            var tokenizer = new Lazy<Tokenizer>(() => Tokenizer.Load(path));
            if (sweep.Given(parsed))
                return sweep.Run(parsed, path, Texts(), engine.Engine(parsed), parsed.GetValue(json));
            // Of several ranks the first reads what is measured on: standard input is there once.
            return parsed.GetValue(asRanks) is { } virtualRanks ? Evaluate(ranks.AsRanks(parsed, path, engine.Engine(parsed), virtualRanks))
                : ranks.Run(parsed, () => path, engine.Engine(parsed), Evaluate, count => RankWork.Of(PassShape.Windows(count, parsed.GetValue(context) ?? DefaultContext)));

            int Evaluate(EngineOptions options)
            {
                List<TaskSet> sets = taskList is null ? [] : [.. TaskFile.Named(taskList, parsed.GetValue(data)!).Select(name => TaskFile.Read(parsed.GetValue(data)!, name, parsed.GetValue(limit)))];
                var texts = Texts();
                using var interrupt = new Interrupt();
                using var model = Load(parsed.InvocationConfiguration.Error, path, options, interrupt.Token);
                List<WindowReport> reports = [.. texts.SelectMany(t => WindowEvaluation.BySource(WindowEvaluation.Run(model, t, rule, interrupt.Token, parsed.GetValue(together) ?? 1), t))];
                var scores = ProgressBars.Show<List<TaskFigures>>(parsed.InvocationConfiguration.Error, bars =>
                    [.. sets.Select(set => Score(model, tokenizer.Value, set, rule, parsed.GetValue(context), bars?.Stage(set.Name), interrupt.Token))]);
                EvalOutput.Write(parsed.InvocationConfiguration.Output, reports, scores, parsed.GetValue(json), options.Balance is null ? null : model.Balance);
                if (options.Balance is { } balance)
                    Terminal.WriteLine(parsed.InvocationConfiguration.Error, BalanceArguments.Line(balance, model.Balance));
                return 0;
            }

            List<TextWindows> Texts()
            {
                var config = ModelConfig.Load(path);
                int length = parsed.GetValue(context) ?? Math.Min(DefaultContext, config.MaxPositions);
                int? opening = parsed.GetValue(bos) ? OpeningToken.Of(config) : null;
                List<TextWindows> texts = [.. files.Select(file => TextWindows.Of(InputText.Name(file), InputText.Read(file), tokenizer.Value, length, most, opening))];
                if (idFile is not null)
                    texts.AddRange(TextWindows.ReadIds(idFile, most));
                TextWindows.RequireNames(texts);
                return marked.Length == 0 ? texts : [TextWindows.Mix(texts, name => marked.Any(file => InputText.Name(file) == name), parsed.GetValue(share), most)];
            }
        });
        return command;
    }

    private static Transformer Load(TextWriter errors, string folder, EngineOptions options, CancellationToken cancel)
    {
        using var progress = new LoadingLine(errors);
        return Transformer.Load(folder, options, progress, cancel);
    }

    private static TaskFigures Score(Transformer model, Tokenizer tokenizer, TaskSet set, DropRequest rule, int? context, IProgress<double>? progress, CancellationToken cancel) =>
        rule.IsNone && model.BalanceSetting is null
            ? TaskFigures.Of(TaskEvaluation.Run(model, tokenizer, set, context, null, progress, cancel))
            : TaskFigures.Of(TaskComparison.Run(model, tokenizer, set, rule, context, progress, cancel));
}
